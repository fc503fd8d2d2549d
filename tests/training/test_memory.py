"""A run keeps to the memory that it was given, and learns the same."""

import argparse
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from conftest import MICRO, melgpt
from melgpt.arguments import memory_size
from melgpt.codec.codec import Codec
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.training import memory
from melgpt.training.codec_task import CodecTask
from melgpt.training.fit import Run
from melgpt.training.memory import Limit, Need, TooLittle, measure
from melgpt.training.portions import Portions, Saved, count_saved
from melgpt.training.recipe import Recipe

NEED = Need(1000, ((Saved(0, (0, 0)), Saved(10, (100, 300))), (Saved(50, ()), Saved(20, ()))))
"""A graph of 10 bytes a clip with functions of 100 and of 300 inside, and one of 20 a clip."""


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4 * 10**9), ("4GiB", 4 << 30), ("3500MB", 3_500_000_000), (" 1.5 gb ", 1_500_000_000)],
)
def test_sizes_are_understood(text: str, size: int) -> None:
    assert memory_size(text) == size


@pytest.mark.parametrize("text", ["", "4", "GB", "-1GB", "0GB", "4 apples", "nanGB", "4GBB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="such as 4GB"):
        memory_size(text)


def test_the_largest_portion_that_fits_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MARGIN", 1)
    assert NEED.portion(8, 1000 + 8 * 410) is None, "all at once, both functions' graphs alive"
    assert NEED.portion(8, 1000 + 8 * 410 - 1) == 8, "one function's graph at a time"
    assert NEED.portion(8, 1000 + 80 + 3 * 300) == 3
    assert NEED.portion(8, 1000 + 80 + 3 * 300 - 1) == 2
    assert NEED.portion(8, 1000 + 80 + 300) == 1
    with pytest.raises(TooLittle) as refused:
        NEED.portion(8, 1000 + 80 + 299)
    assert refused.value.least == 1380


def test_each_block_that_is_kept_counts_once_and_weights_never() -> None:
    class Task(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.portions = nn.Linear(4, 8), Portions()

        def step(self) -> object:
            # The layer keeps its input, the sine its input, the product both of its factors: one block twice.
            h = self.portions(lambda x: self.layer(x).sin(), torch.ones(3, 4))
            return (h * h).sum()

    task = Task()
    assert count_saved(task, task.step, task) == Saved(3 * 8 * 4, (3 * 4 * 4 + 3 * 8 * 4,))
    assert task.portions.most is None


@pytest.mark.parametrize("quantizer", ["ema", "fsq"])
def test_a_measured_task_is_what_it_was(quantizer: str) -> None:
    options = ["codec.quantizer.levels=[4,4]"] if quantizer == "fsq" else []
    recipe = Recipe.read(str(MICRO), [f"codec.quantizer.kind={quantizer}", *options])
    task = CodecTask(Codec(recipe.codec), recipe.train.codec)
    before, random = {k: v.clone() for k, v in task.state_dict().items()}, torch.get_rng_state()
    need = measure(task, lambda clips: torch.rand(clips, 1, 80, 32), recipe.runtime)
    assert len(need.graphs) == 2, "the generator's and the discriminator's"
    assert all(clip.rest > 0 for _, clip in need.graphs)
    assert need.peak(4, 1) < need.peak(4, 2) < need.peak(4, 4) < need.peak(4, None)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(v, before[k]) for k, v in task.state_dict().items())


def _trained(folder: Path, store: Store, portion: int | None, monkeypatch: pytest.MonkeyPatch) -> dict:
    """Codec and prior of a few steps, in portions of so many clips."""

    def keep(self: Limit, stage: str, task: object, *_: object) -> None:
        task.portions = Portions(portion)

    monkeypatch.setattr(Limit, "keep", keep)
    exact = ["runtime.precision=fp32", "prior.blocks.dropout=0.0", "train.codec.adversarial_start=1"]
    # Not `ema`: biases before its normalisation have no gradient but rounding, which AdamW makes large.
    exact += ["codec.quantizer.kind=fsq", "codec.quantizer.levels=[4,4]"]
    run = Run(folder, Recipe.read(str(MICRO), exact), memory=10**12)
    run.train_codec(store)
    run.make_vocoder(store)
    run.train_prior(store)
    parts = ("codec", "prior")
    return {p: torch.load(folder / f"training/{p}/last.ckpt", weights_only=True)["state_dict"] for p in parts}


def test_portions_change_nothing_but_rounding(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a result is no mean over clips: batch normalisation, the adaptive weight."""
    store = Store.open(trained / "data")
    whole, ones = (_trained(tmp_path / str(n), store, n, monkeypatch) for n in (None, 1))
    codes = [tmp_path / name / "training/codec/stage.json" for name in ("None", "1")]
    assert codes[0].read_bytes() == codes[1].read_bytes(), "portions are no part of what is trained"
    for part, weights in whole.items():
        for name, tensor in weights.items():
            torch.testing.assert_close(ones[part][name], tensor, rtol=2e-3, atol=2e-4, msg=f"{part} {name}")


def test_the_gradients_are_those_of_the_whole_batch() -> None:
    network = nn.Sequential(nn.Conv1d(2, 4, 3), nn.SiLU(), nn.Conv1d(4, 3, 3))
    x, gradients = torch.randn(5, 2, 12), []
    for most in (None, 5, 2, 1):
        network.zero_grad()
        F.batch_norm(Portions(most)(network, x), None, None, training=True).square().mean().backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-4, atol=1e-6)


def _limit(
    folder: Path, least: dict[int, int], size: int, monkeypatch: pytest.MonkeyPatch, made_from: str = "a"
) -> int:
    """The crop that is chosen of 16 … 64 frames where one of n frames needs least[n] bytes."""

    def measured(task: int, *_: object) -> Need:
        return Need(least[task], ((Saved(0, ()), Saved(0, ())),))

    monkeypatch.setattr(memory, "measure", measured)
    monkeypatch.setattr(memory, "ROOM", 1)
    limit = Limit(size, folder)
    return limit.crop("codec", made_from, 64, [16, 32, 48], lambda frames: (frames, None), 4, None)


def test_crops_get_shorter_only_where_they_must_and_the_choice_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs = {16: 100, 32: 200, 48: 300, 64: 400}
    assert _limit(tmp_path, needs, 400, monkeypatch) == 64
    assert not capsys.readouterr().err
    assert _limit(tmp_path, needs, 399, monkeypatch) == 48
    assert "crops of 48 frames instead of 64" in capsys.readouterr().err
    assert _limit(tmp_path, needs, 100, monkeypatch) == 16
    with pytest.raises(UserError, match="needs 1 MB at least"):
        _limit(tmp_path, needs, 99, monkeypatch)
    grown = {frames: 2 * need for frames, need in needs.items()}
    assert _limit(tmp_path, grown, 399, monkeypatch) == 48, "what was chosen for a limit stays"
    assert _limit(tmp_path, grown, 399, monkeypatch, "b") == 16, "for a heavier network it is chosen anew"


def test_a_memory_that_cannot_be_kept_ends_with_2(trained: Path, tmp_path: Path) -> None:
    options = ("train", "codec", trained / "data", "--out", tmp_path, "--recipe", MICRO)
    done = melgpt(*options, "--memory", "50MB")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "--memory 50 MB is too little: the codec needs" in done.stderr
    done = melgpt(*options, "--memory", "much")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_run_with_a_memory_is_not_repeated(trained: Path, corpus: Path) -> None:
    before = (trained / "codec.safetensors").stat().st_mtime_ns
    done = melgpt("fit", corpus, "--out", trained, "--recipe", MICRO, "--memory", "8GB")
    assert done.returncode == 0, done.stderr
    assert (trained / "codec.safetensors").stat().st_mtime_ns == before
