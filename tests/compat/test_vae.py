"""`python GPT_VAE_train.py`: both stages, interpolation, and what is measured of z."""

from pathlib import Path

import pytest
import torch

from compat.conftest import micro_recipe
from melgpt.compat.flags import vae_flags
from melgpt.compat.vae import work
from melgpt.compat.vae_task import SeedKL
from melgpt.errors import UserError
from melgpt.losses.kl import Annealing

CODEC = "lightning_logs/try/checkpoints/version_0/last.ckpt"
FIRST = Path("lightning_logs/ae/checkpoints/version_0/last.ckpt")


@pytest.fixture(autouse=True)
def _inside(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)


def _work(experiment: str, *words: str) -> None:
    given = ["--dataset", "vas", "--experiment", experiment, "--reconstruct_spec", CODEC, *words]
    work(vae_flags().parse_args(given), micro_recipe("vae.row_aware=false"), epochs=1)


@pytest.fixture(scope="module")
def first_stage(clone: Path) -> Path:
    """The auto-encoder of stage one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        _work("ae", "--train", "1", "--beta", "0", "--test_interpolation", "1", "--logging_frequency", "100")
    return clone / FIRST


def test_stage_one_logs_and_stage_two_takes_its_encoder(
    first_stage: Path, capsys: pytest.CaptureFixture
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator("lightning_logs/ae/TensorBoardLoggs/version_0")
    board.Reload()
    tags = board.Tags()
    names = ("loss", "loss_rc", "loss_kl", "kl_weight")
    assert {f"train/{name}_{when}" for name in names for when in ("step", "epoch")} <= set(tags["scalars"])
    assert {"val/loss", "val/loss_rc", "val/loss_kl"} <= set(tags["scalars"])
    measures = {f"metrics/{name}" for name in ("mutual_info", "active_units", "nll", "ppl")}
    assert measures <= set(tags["scalars"])
    pictures = {"val/original", "val/greedy_reconstraction", "val/beam_reconstraction"}
    assert pictures | {"interpolation/val/greedy", "interpolation/val/beam"} <= set(tags["images"])
    capsys.readouterr()
    words = ["--kl_start", "0", "--warm_up", "10", "--target_kl", "8", "--fb", "2", "--load_path", str(FIRST)]
    _work("vae", "--train", "1", "--eval", "1", "--test", "1", *words)
    shown = capsys.readouterr()
    assert f"encoder from {FIRST}" in shown.err
    assert "val/loss_kl" in shown.out
    sounds = [Path(line) for line in shown.out.splitlines() if line.endswith(".wav")]
    assert len(sounds) == 4
    assert all(path.is_file() for path in sounds)


def test_the_encoder_is_taken_and_the_decoder_starts_anew(first_stage: Path) -> None:
    from melgpt.compat.vae import _take_encoder
    from melgpt.gpt.vae import GPTVAE

    state = torch.load(first_stage, weights_only=True)["state_dict"]
    theirs = {key.removeprefix("vae."): t for key, t in state.items() if key.startswith("vae.")}
    recipe = micro_recipe("vae.row_aware=false")
    positions = theirs["encoder.tokens.weight"].shape[0]
    vae = GPTVAE(recipe.vae.changed(codebook=positions, rows=5, columns=53))
    before = vae.decoder.tokens.weight.clone()
    _take_encoder(first_stage, vae)
    for name, tensor in vae.encoder.state_dict().items():
        assert torch.equal(tensor, theirs[f"encoder.{name}"])
    assert torch.equal(vae.decoder.tokens.weight, before)


def test_beta_only_switches_the_kl() -> None:
    rising = Annealing.over(10, start=0.1, clips=24, batch=4)
    assert SeedKL(0.0, rising, 2, 8.0).weigh(5) == {"weight": 0.0}
    small, one = SeedKL(0.5, rising, 2, 8.0), SeedKL(1.0, rising, 2, 8.0)
    assert small.weigh(5) == one.weigh(5)
    assert one.weigh(0)["weight"] == pytest.approx(0.1 + 0.9 / 60)
    assert SeedKL(1.0, Annealing.over(0, start=0.0, clips=24, batch=4), 0, -1.0).never


def test_several_devices_are_refused() -> None:
    with pytest.raises(UserError, match="one device"):
        _work("x", "--train", "1", "--gpus", "2")
