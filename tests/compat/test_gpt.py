"""`python GPT_train.py`: the class-conditional GPT on the codes of a codec that train.py made."""

from pathlib import Path

import pytest

from compat.conftest import micro_recipe
from melgpt.compat.flags import gpt_flags
from melgpt.compat.gpt import work
from melgpt.errors import UserError

CODEC = "lightning_logs/try/checkpoints/version_0/last.ckpt"


@pytest.fixture(autouse=True)
def _inside(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)


def _work(*words: str, epochs: int = 1) -> None:
    args = gpt_flags().parse_args(["--dataset", "vas", "--experiment", "gpt", *words])
    work(args, micro_recipe("train.prior.steps=1"), epochs=epochs)


def test_it_trains_resumes_evaluates_and_makes_sounds(capsys: pytest.CaptureFixture) -> None:
    _work("--train", "1", "--reconstruct_spec", CODEC, "--logging_frequency", "100")
    last = Path("lightning_logs/gpt/checkpoints/version_0/last.ckpt")
    assert last.is_file()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator("lightning_logs/gpt/TensorBoardLoggs/version_0")
    board.Reload()
    tags = board.Tags()
    wanted = {f"{split}/loss_{when}" for split in ("train", "val") for when in ("step", "epoch")}
    assert wanted <= set(tags["scalars"])
    assert any(name.startswith("lr-AdamW") for name in tags["scalars"])
    assert {"val/samples_nopix", "val/samples_det", "train/reconstructions"} <= set(tags["images"])
    assert {"val/samples_nopix_0"} <= set(tags["audio"])
    capsys.readouterr()
    _work("--eval", "1", "--test", "1", "--resume", str(last), "--reconstruct_spec", str(Path(CODEC).parent))
    printed = capsys.readouterr().out
    assert "val/loss_epoch" in printed
    sounds = [Path(line) for line in printed.splitlines() if line.endswith(".wav")]
    assert len(sounds) == 4
    assert all(path.is_file() for path in sounds)


def test_without_a_codec_it_says_so() -> None:
    with pytest.raises(UserError, match="--reconstruct_spec"):
        _work("--train", "1")
