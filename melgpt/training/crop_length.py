"""How long the codec's crops may be where a run has to keep to a memory."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from melgpt import registry
from melgpt.errors import UserError
from melgpt.losses.perceptual import Perceptual
from melgpt.training.codec_task import CodecTask
from melgpt.training.memory import Limit
from melgpt.training.recipe import Recipe
from melgpt.training.run_folder import digest


def with_fitting_crops(recipe: Recipe, limit: Limit, perceptual: Perceptual | None) -> Recipe:
    """The recipe, with shorter crops where not even one of its own keeps to the limit."""

    def build(frames: int) -> tuple[CodecTask, Callable[[int], Tensor]]:
        changed = _with(recipe, frames)
        with torch.random.fork_rng(devices=[]):
            task = CodecTask(registry.build("codec", changed.codec), changed.train.codec, perceptual)
        return task, partial(crops, changed)

    settings, step = recipe.train.codec, recipe.codec.network.token_size[1]
    shorter = [n for n in range(step, settings.crop_frames, step) if _possible(recipe, n)]
    made_from = digest(
        {"codec": recipe.codec.plain(), "training": settings.plain(), **recipe.runtime.plain()}
    )
    frames = limit.crop(
        "codec", made_from, settings.crop_frames, shorter, build, settings.batch, recipe.runtime
    )
    return _with(recipe, frames)


def crops(recipe: Recipe, clips: int) -> Tensor:
    """A batch [B, 1, F, N] of the recipe's crops, of silence."""
    return torch.zeros(clips, 1, recipe.mel.n_mels, recipe.train.codec.crop_frames)


def _with(recipe: Recipe, frames: int) -> Recipe:
    codec = recipe.train.codec.changed(crop_frames=frames)
    return recipe.changed(train=recipe.train.changed(codec=codec))


def _possible(recipe: Recipe, frames: int) -> bool:
    """Whether the discriminator can be applied to crops of so many frames."""
    try:
        _with(recipe, frames)
    except UserError:
        return False
    return True
