"""The stage `vocoder` for one that learns: from the sounds that the data set was prepared from."""

from dataclasses import dataclass
from typing import Any

import torch

from melgpt import registry
from melgpt.codec.codec import Codec
from melgpt.data.sounds import Sounds
from melgpt.data.store import Store
from melgpt.decoders.base import MelDecoder
from melgpt.errors import UserError
from melgpt.evaluation.vocoder_measures import vocoder_measures
from melgpt.training.checkpoints import LAST
from melgpt.training.data import EpochData
from melgpt.training.magnitude_task import MagnitudeTask
from melgpt.training.memory import Limit
from melgpt.training.recipe import Recipe
from melgpt.training.settings import VocoderTraining
from melgpt.training.sound_crops import SoundCrops, WholeSounds
from melgpt.training.stage import Stage, epochs
from melgpt.training.vocoder_task import VocoderTask

SOUNDS = "sounds"
"""Folder of the decoded sounds under training/."""


def made_from(recipe: Recipe, store: Store, through: dict[str, str]) -> dict[str, Any]:
    """What decides the result. through: fingerprints of the parts that the last steps are heard through."""
    values = {
        "data": store.fingerprint,
        "vocoder": recipe.vocoder.plain(),
        "training": recipe.train.vocoder.plain(),
    }
    return {**values, **through}


def learns_by_magnitudes(vocoder: Any, settings: VocoderTraining) -> bool:
    """Whether it is trained by its magnitudes alone. Raises UserError where it has none to learn."""
    there = getattr(vocoder, "learns_magnitudes", False)
    if settings.objective == "magnitudes" and not there:
        raise UserError(
            "train.vocoder.objective=magnitudes is for an istft vocoder with the skip: take sound"
        )
    return there and (
        settings.objective == "magnitudes"
        or (settings.objective == "auto" and settings.adversarial_start >= settings.steps)
    )


@dataclass(frozen=True)
class TrainedVocoder:
    """A trained vocoder."""

    vocoder: Any
    figures: dict[str, float]
    """Measured on the validation clips."""
    kept: str
    """Which of its steps, in words."""


def same_objective(recipe: Recipe, steps: int) -> bool:
    """Whether a vocoder of the recipe would learn from the same as now in so many steps."""
    vocoder, settings = registry.build("vocoder", recipe.vocoder), recipe.train.vocoder
    now = learns_by_magnitudes(vocoder, settings)
    return learns_by_magnitudes(vocoder, settings.changed(steps=steps)) == now


def train_vocoder(
    recipe: Recipe,
    store: Store,
    stage: Stage,
    codec: Codec | None,
    decoder: MelDecoder | None,
    limit: Limit | None,
) -> TrainedVocoder:
    """Train the vocoder and measure it. Raises UserError where the sounds are gone, or memory is short."""
    settings = recipe.train.vocoder
    sounds = Sounds.open(store, stage.folder.parent / SOUNDS)
    torch.manual_seed(settings.seed)
    vocoder = registry.build("vocoder", recipe.vocoder)
    kind = MagnitudeTask if learns_by_magnitudes(vocoder, settings) else VocoderTask
    task = kind(vocoder, settings, codec, decoder)
    if limit is not None:
        size = settings.crop_frames * store.scale.hop + store.scale.n_fft
        limit.keep("vocoder", task, lambda clips: torch.zeros(clips, size), settings.batch, recipe.runtime)
    _, length = epochs(settings)
    data = EpochData(
        lambda epoch: SoundCrops(store, sounds, settings, epoch, length * settings.batch),
        WholeSounds(store, sounds, settings.valid_clips),
        batch=settings.batch,
    )
    stage.train(task, data, settings=settings, runtime=recipe.runtime, monitor="val/distance", callbacks=[])
    # The last weights: what the discriminators add, the distance does not hear.
    kept = stage.load(task, LAST)
    vocoder = task.part.eval()
    valid = WholeSounds(store, sounds, settings.valid_clips)
    return TrainedVocoder(vocoder, vocoder_measures(vocoder, (valid[i] for i in range(len(valid)))), kept)
