"""`python GPT_train.py`: the class-conditional GPT on the codes of a codec that train.py made."""

from pathlib import Path

import numpy as np
import pytest

from compat.conftest import micro_recipe
from melgpt import checkpoint
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

    other = Path("other.safetensors")
    codec = checkpoint.load(Path(CODEC).parent / "codec.safetensors", "codec")
    codec.quantizer.codebook.weight.data.add_(0.1)
    checkpoint.save(codec, other)
    with pytest.raises(UserError, match=r"last.ckpt learnt the codes of another codec"):
        _work("--eval", "1", "--resume", str(last), "--reconstruct_spec", str(other))
    with pytest.raises(UserError, match=r"last.ckpt holds a codec, GPT_train.py goes on with a gpt"):
        _work("--eval", "1", "--resume", CODEC, "--reconstruct_spec", CODEC)


def test_without_a_codec_and_code_files_it_says_so() -> None:
    with pytest.raises(UserError, match=r"--reconstruct_spec.*code files"):
        _work("--train", "1")


def test_code_files_of_the_originals_are_enough_to_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(6):
        home = tmp_path / "data/vas/features" / ("dog" if number % 2 else "drum")
        for kind, name, values in (
            ("melspec_10s_22050hz", "mel", rng.random((80, 860), np.float32)),
            ("codes_10s", "mel_code", rng.integers(0, 16, (5, 53))),
        ):
            (home / kind).mkdir(parents=True, exist_ok=True)
            np.save(home / kind / f"video_{number:05d}_{name}.npy", values)
    lines = [f"{'dog' if n % 2 else 'drum'}/video_{n:05d}" for n in range(6)]
    (tmp_path / "data/vas_train.txt").write_text("\n".join(lines[:4]))
    (tmp_path / "data/vas_valid.txt").write_text("\n".join(lines[4:]))
    _work("--train", "1", "--eval", "1")
    assert "val/loss_epoch" in capsys.readouterr().out
    assert Path("lightning_logs/gpt/checkpoints/version_0/last.ckpt").is_file()
    with pytest.raises(UserError, match="--test makes sounds"):
        _work("--test", "1", "--resume", "lightning_logs/gpt/checkpoints/version_0/last.ckpt")
