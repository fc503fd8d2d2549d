"""The stage `vocoder`: every kind learns, resumes, is skipped when unchanged, and says what it lacks."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import MICRO
from melgpt import checkpoint, registry
from melgpt.data.sounds import Sounds
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.losses.adversarial import feature_distances
from melgpt.training import fit_vocoder
from melgpt.training.fit import Run
from melgpt.training.fit_vocoder import learns_by_magnitudes
from melgpt.training.heard_mels import HeardMels
from melgpt.training.magnitude_task import MagnitudeTask
from melgpt.training.portions import Portions
from melgpt.training.recipe import Recipe
from melgpt.training.sound_crops import SoundCrops
from melgpt.training.stage_task import fixed
from melgpt.training.vocoder_task import VocoderTask

ISTFT = ["vocoder.kind=istft", "vocoder.width=8", "vocoder.hidden=8", "vocoder.layers=1", "vocoder.refine=1"]
BY_MAGNITUDES = [*ISTFT, "train.vocoder.objective=magnitudes"]
MELGAN = ["vocoder.kind=melgan", "vocoder.ngf=1", "vocoder.residual_blocks=1"]
SHORT = [
    "steps=6",
    "batch=2",
    "crop_frames=16",
    "warmup=1",
    "validate_every=3",
    "valid_clips=2",
    "adversarial_start=2",
    "discriminator.channels=2",
    "discriminator.periods=[2,3]",
    "discriminator.resolutions=[512]",
]


def recipe(*changes: str) -> Recipe:
    return Recipe.read(str(MICRO), [*(f"train.vocoder.{option}" for option in SHORT), *changes])


@pytest.fixture
def store(trained: Path) -> Store:
    return Store.open(trained / "data")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(folder / "vocoder.safetensors", "vocoder").state_dict()


@pytest.mark.parametrize("kind", [ISTFT, BY_MAGNITUDES, MELGAN])
def test_a_vocoder_learns_and_is_not_trained_twice(kind: list[str], store: Store, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", recipe(*kind))
    run.make_vocoder(store)
    file = tmp_path / "run/vocoder.safetensors"
    made = file.stat().st_mtime_ns
    assert checkpoint.load(file).config == run.recipe.vocoder
    figures = run.figures["vocoder"]
    assert figures["whole_band"] > 0
    assert figures["griffin_lim_mel_l1"] < figures["mel_l1"], "six steps do not beat it"

    Run(tmp_path / "run", recipe(*kind)).make_vocoder(store)
    assert file.stat().st_mtime_ns == made

    Run(tmp_path / "run", recipe(*kind, "train.vocoder.gain_db=3")).make_vocoder(store)
    assert file.stat().st_mtime_ns != made


@pytest.mark.parametrize("kind", [ISTFT, BY_MAGNITUDES])
def test_a_run_that_was_stopped_ends_with_the_weights_of_an_undisturbed_one(
    kind: list[str], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Run(tmp_path / "one", recipe(*kind)).make_vocoder(store)

    def stop(self: Any, samples: Any, step: int, mels: Any = HeardMels.__call__) -> Any:
        if step == 4:
            raise KeyboardInterrupt
        return mels(self, samples, step)

    with monkeypatch.context() as patch:
        patch.setattr(HeardMels, "__call__", stop)
        with pytest.raises(KeyboardInterrupt):
            Run(tmp_path / "other", recipe(*kind)).make_vocoder(store)
    assert (tmp_path / "other/training/vocoder/last.ckpt").is_file()
    Run(tmp_path / "other", recipe(*kind)).make_vocoder(store)
    one, other = weights(tmp_path / "one"), weights(tmp_path / "other")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", [ISTFT, BY_MAGNITUDES])
def test_the_last_steps_are_heard_through_the_codec(
    kind: list[str], trained: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run", recipe(*kind, "train.vocoder.codec_steps=2"))
    (tmp_path / "run").mkdir()
    shutil.copy(trained / "codec.safetensors", tmp_path / "run")
    codec, heard = checkpoint.load(trained / "codec.safetensors"), []
    monkeypatch.setattr(type(codec), "mel_of", lambda self, z: heard.append(len(z)) or torch.zeros(1, 80, 32))
    run.make_vocoder(store)
    assert heard == [1, 1], "half of each of the last two batches"
    file = checkpoint.describe(tmp_path / "run/vocoder.safetensors")
    assert file.parents["codec"] == checkpoint.fingerprint(codec)


def test_without_a_codec_all_steps_learn_from_real_mels(store: Store, tmp_path: Path) -> None:
    one, other = (recipe(*ISTFT, f"train.vocoder.codec_steps={steps}") for steps in (0, 2))
    assert fit_vocoder.made_from(one, store, {}) != fit_vocoder.made_from(other, store, {})
    Run(tmp_path / "run", other).make_vocoder(store)
    assert "codec" not in checkpoint.describe(tmp_path / "run/vocoder.safetensors").parents


def test_a_file_of_trained_weights_is_taken_instead(store: Store, tmp_path: Path) -> None:
    Run(tmp_path / "one", recipe(*ISTFT)).make_vocoder(store)
    file = tmp_path / "one/vocoder.safetensors"
    Run(tmp_path / "other", recipe(f"vocoder_file={file}")).make_vocoder(store)
    one, other = weights(tmp_path / "one"), weights(tmp_path / "other")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_crops_depend_on_seed_epoch_and_place_alone(store: Store, tmp_path: Path) -> None:
    settings = recipe().train.vocoder
    sounds = Sounds.open(store, tmp_path / "sounds")
    first, again, later = (SoundCrops(store, sounds, settings, epoch, 4) for epoch in (0, 0, 1))
    assert torch.equal(first[3], again[3])
    assert not torch.equal(first[3], later[3])
    assert first[3].shape == (16 * 256 + 1024,)


def test_only_other_layers_than_the_logits_are_matched() -> None:
    real = [[torch.zeros(2, 3), torch.zeros(2)]]
    assert feature_distances(real, [[torch.ones(2, 3), torch.full((2,), 9.0)]]).tolist() == [1, 1]


@pytest.mark.parametrize("kind", [ISTFT, MELGAN])
def test_a_step_in_portions_is_that_of_the_whole_batch(kind: list[str]) -> None:
    options = recipe(*kind)
    samples, gradients = 0.1 * torch.randn(3, 16 * 256 + 1024), []
    for most in (None, 2):
        torch.manual_seed(0)
        task = VocoderTask(registry.build("vocoder", options.vocoder), options.train.vocoder)
        task.portions = Portions(most)
        real = samples[:, 512:-512]
        with fixed(task.discriminator):
            made = task.portions(task.vocoder, task.mels(samples, 0))
            task._loss(made, real, True)[0].backward()
        assert all(weight.grad is None for weight in task.discriminator.parameters())
        task.portions(task._verdict, real, made.detach()).mean().backward()
        gradients.append([weight.grad for weight in task.parameters()])
    assert len(gradients[0]) > 20
    for one, other in zip(*gradients, strict=True):
        # Refining makes the rounding of products of other sizes a little larger.
        assert float((one - other).norm()) <= 1e-2 * float(one.norm()) + 1e-6


@pytest.mark.parametrize("kind", [ISTFT, BY_MAGNITUDES])
def test_it_keeps_to_a_memory(
    kind: list[str], store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Run(tmp_path / "run", recipe(*kind), memory=8 << 30).make_vocoder(store)
    assert "vocoder: all 2 clips of a step at once take about" in capsys.readouterr().err
    with pytest.raises(UserError, match="too little"):
        Run(tmp_path / "other", recipe(*kind), memory=50 << 20).make_vocoder(store)


def test_magnitudes_are_learnt_where_there_are_such_and_nobody_judges_sounds() -> None:
    def by_magnitudes(*changes: str) -> bool:
        options = recipe(*changes)
        return learns_by_magnitudes(registry.build("vocoder", options.vocoder), options.train.vocoder)

    unjudged = "train.vocoder.adversarial_start=6"
    assert by_magnitudes(*BY_MAGNITUDES)
    assert by_magnitudes(*ISTFT, unjudged)
    assert not by_magnitudes(*ISTFT)
    assert not by_magnitudes(*ISTFT, unjudged, "train.vocoder.objective=sound")
    assert not by_magnitudes(*ISTFT, unjudged, "vocoder.skip=false")
    assert not by_magnitudes(*MELGAN, unjudged)
    with pytest.raises(UserError, match="take sound"):
        by_magnitudes(*MELGAN, "train.vocoder.objective=magnitudes")


def test_the_right_magnitudes_lack_nothing_whatever_the_portions() -> None:
    options = recipe(*BY_MAGNITUDES)
    task = MagnitudeTask(registry.build("vocoder", options.vocoder), options.train.vocoder)
    samples = 0.1 * torch.randn(3, 16 * 256 + 1024)
    mel = task.mels(samples, 0)
    lacking = task._distance(mel, samples)
    assert lacking.shape == (3,)
    assert float(lacking.detach().min()) > 0.2
    task.portions = Portions(2)
    torch.testing.assert_close(task.portions(task._distance, mel, samples), lacking)
    task.vocoder.magnitudes = lambda mel: task._real(samples)[:, : mel.shape[-1]]
    assert float(task._distance(mel, samples).abs().max()) == 0


def test_what_decides_the_result_is_part_of_the_stamp(store: Store) -> None:
    plain = fit_vocoder.made_from(recipe(*ISTFT), store, {})
    assert plain != fit_vocoder.made_from(recipe(*ISTFT, "vocoder.width=9"), store, {})
    assert plain != fit_vocoder.made_from(recipe(*ISTFT), store, {"codec": "a codec"})
