"""A codec trains with each of the losses that its settings can ask for."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import MICRO
from melgpt import checkpoint
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.losses.perceptual import Perceptual, PerceptualConfig
from melgpt.quantizers.vq import VectorQuantizer
from melgpt.training.callbacks import HearReconstructions
from melgpt.training.codec_task import CodecTask
from melgpt.training.fit import Run
from melgpt.training.recipe import Recipe
from melgpt.types import MelScale


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    """A tiny perceptual network on the default mel scale."""
    path = tmp_path / "perceptual.safetensors"
    checkpoint.save(Perceptual(PerceptualConfig(channels=(2, 3), convolutions=(1, 2))), path)
    return path


def run(folder: Path, *changes: str) -> Run:
    return Run(folder, Recipe.read(str(MICRO), list(changes)))


def scalars(folder: Path) -> list[str]:
    board = EventAccumulator(str(folder / "training" / "codec"))
    board.Reload()
    return board.Tags()["scalars"]


def test_what_is_heard_while_training_is_what_was_validated(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: dict[str, list[torch.Tensor]] = {"validated": [], "heard": []}

    def keep(name: str) -> Callable[[CodecTask], None]:
        return lambda task: weights[name].append(task.codec.decoder.conv_out.weight.detach().clone())

    validate, hear = CodecTask.validation_step, HearReconstructions.on_validation_epoch_end
    monkeypatch.setattr(
        CodecTask,
        "validation_step",
        lambda task, *batch: (keep("validated")(task), validate(task, *batch))[1],
    )
    monkeypatch.setattr(
        HearReconstructions,
        "on_validation_epoch_end",
        lambda self, trainer, task: (keep("heard")(task), hear(self, trainer, task))[1],
    )
    run(tmp_path).train_codec(Store.open(trained / "data"))
    assert len(weights["heard"]) == 3
    assert all(any(torch.equal(one, other) for other in weights["validated"]) for one in weights["heard"])


def test_the_perceptual_loss_takes_part_and_its_network_stays_as_it_is(
    trained: Path, tmp_path: Path, network_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, bool]] = []
    forward = Perceptual.forward

    def watched(self: Perceptual, values: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append((self.training, values.requires_grad))
        return forward(self, values, target)

    monkeypatch.setattr(Perceptual, "forward", watched)
    before = network_file.read_bytes()
    with_it = run(
        tmp_path / "run", f"train.codec.perceptual_file={network_file}", "train.codec.perceptual_weight=0.5"
    )
    with_it.train_codec(Store.open(trained / "data"))
    assert seen == [(False, True)] * with_it.recipe.train.codec.steps
    assert "train/perceptual_loss" in scalars(tmp_path / "run")
    assert network_file.read_bytes() == before
    # Trained otherwise, but of the same tensors as a codec that never saw such a network.
    files = [folder / "codec.safetensors" for folder in (trained, tmp_path / "run")]
    names = [set(safe_open(file, framework="pt").keys()) for file in files]
    assert names[0] == names[1]
    assert len({checkpoint.describe(file).fingerprint for file in files}) == 2
    used = [checkpoint.describe(file).parents.get("perceptual") for file in files]
    assert used == [None, checkpoint.describe(network_file).fingerprint], "it must never judge this codec"
    saved = torch.load(tmp_path / "run/training/codec/last.ckpt", weights_only=True)
    assert {name.split(".")[0] for name in saved["state_dict"]} == {"codec", "discriminator"}


def test_a_perceptual_loss_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"option train.codec: perceptual_weight=1.0 needs perceptual_file"):
        run(tmp_path, "train.codec.perceptual_weight=1.0")


def test_a_missing_network_is_told_before_anything_is_done(tmp_path: Path) -> None:
    asked = run(
        tmp_path / "run",
        "train.codec.perceptual_weight=1.0",
        f"train.codec.perceptual_file={tmp_path / 'nowhere'}",
    )
    with pytest.raises(UserError, match="nowhere is not there: give a perceptual.safetensors"):
        asked.fit(tmp_path / "no sounds either")


def test_a_network_of_another_scale_or_kind_is_refused(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    config = PerceptualConfig(mel=MelScale(f_min=0.0), channels=(2,), convolutions=(1,))
    checkpoint.save(Perceptual(config), other)
    for file, words in ((other, "mel scale"), (trained / "codec.safetensors", "holds a codec")):
        asked = run(
            tmp_path / "run", "train.codec.perceptual_weight=1.0", f"train.codec.perceptual_file={file}"
        )
        with pytest.raises(UserError, match=words):
            asked.train_codec(Store.open(trained / "data"))


def test_another_network_in_the_same_file_trains_anew(
    trained: Path, tmp_path: Path, network_file: Path
) -> None:
    changes = (f"train.codec.perceptual_file={network_file}", "train.codec.perceptual_weight=0.5")
    marks = []
    for _ in range(2):
        run(tmp_path / "run", *changes).train_codec(Store.open(trained / "data"))
        marks.append(checkpoint.describe(tmp_path / "run/codec.safetensors").fingerprint)
        torch.manual_seed(7)
        checkpoint.save(Perceptual(PerceptualConfig(channels=(2, 3), convolutions=(1, 2))), network_file)
    assert marks[0] != marks[1]


def test_a_constant_weight_vanilla_loss_and_patches_in_time_train(trained: Path, tmp_path: Path) -> None:
    asked = run(
        tmp_path / "run",
        "train.codec.adversarial_loss=vanilla",
        "train.codec.adversarial_least=1.0",
        "train.codec.discriminator.dimensions=1",
    )
    asked.train_codec(Store.open(trained / "data"))
    assert "train/discriminator_loss" in scalars(tmp_path / "run")
    saved = torch.load(tmp_path / "run/training/codec/last.ckpt", weights_only=True)["state_dict"]
    assert saved["discriminator.layers.0.weight"].ndim == 3


def test_bounds_the_wrong_way_round_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="adversarial_least .* lies above adversarial_limit"):
        run(tmp_path, "train.codec.adversarial_least=2.0")


def test_unused_codes_are_restarted_at_each_epochs_end(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[tuple[int, int]] = []
    restart = VectorQuantizer.restart_unused

    def watched(self: VectorQuantizer, z: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        unused = int((self.usage == 0).sum())
        found = restart(self, z, generator)
        moved.append((unused, len(found)))
        return found

    monkeypatch.setattr(VectorQuantizer, "restart_unused", watched)
    changes = ["codec.quantizer.kind=vq", "codec.quantizer.codes=64", "codec.quantizer.dim=4"]
    asked = run(tmp_path / "run", *changes, "codec.quantizer.restart=true", "codec.quantizer.noise_sigma=1")
    asked.train_codec(Store.open(trained / "data"))
    assert len(moved) == 3
    assert all(unused == found for unused, found in moved)
    assert moved[0][1] > 0
    moved.clear()
    run(tmp_path / "plain", *changes).train_codec(Store.open(trained / "data"))
    assert not moved


def test_restarts_and_noise_are_the_same_in_a_run_that_was_broken_off(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = [
        "codec.quantizer.kind=vq",
        "codec.quantizer.codes=64",
        "codec.quantizer.dim=4",
        "codec.quantizer.restart=true",
        "codec.quantizer.noise_sigma=1",
        # What is saved is otherwise an average, in which one wrong step would hardly show.
        "train.codec.average=0.0",
    ]
    store = Store.open(trained / "data")
    run(tmp_path / "whole", *changes).train_codec(store)

    step = CodecTask.training_step

    def breaking(self: CodecTask, mel: torch.Tensor, index: int) -> None:
        if self.batches_done() == 6:
            raise RuntimeError("the power went off")
        step(self, mel, index)

    with monkeypatch.context() as patch:
        patch.setattr(CodecTask, "training_step", breaking)
        with pytest.raises(RuntimeError, match="the power went off"):
            run(tmp_path / "broken", *changes).train_codec(store)
    run(tmp_path / "broken", *changes).train_codec(store)
    whole, broken = (tmp_path / name / "codec.safetensors" for name in ("whole", "broken"))
    assert whole.read_bytes() == broken.read_bytes()
