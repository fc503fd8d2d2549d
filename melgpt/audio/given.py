"""What a caller gives as a sound, checked: a path, an Audio, or several of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from melgpt import types
from melgpt.audio.audio import Audio
from melgpt.audio.io import read
from melgpt.errors import UserError
from melgpt.paths import disk_message

Sounds = types.Audio | Path | str | list[Any] | tuple[Any, ...]
"""An Audio, the path of a sound file, or a list of these."""
T = TypeVar("T")


def as_audio(given: Any) -> Audio:
    """One sound, samples [1, T] float32; samples [T] are taken as that.

    Raises UserError for what is none: another type or shape, no samples, samples or a rate that are no finite
    numbers; FileNotFoundError and AudioError as `read` does.
    """
    if isinstance(given, str | Path):
        try:
            return read(given)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or (message := disk_message(error)) is None:
                raise
            raise UserError(message) from None
    if not isinstance(given, types.Audio):
        raise UserError(
            f"a sound is an Audio(samples, rate) or the path of a file, not a {type(given).__name__}"
        )
    samples, rate = given.samples, given.rate
    if not isinstance(samples, torch.Tensor) or not samples.is_floating_point():
        kind = samples.dtype if isinstance(samples, torch.Tensor) else type(samples).__name__
        raise UserError(f"samples are a tensor of floating-point numbers in [-1, 1], not {kind}")
    if isinstance(rate, bool) or not isinstance(rate, int) or rate < 1:
        raise UserError(f"the rate of a sound is a whole number of Hz from 1 on, not {rate!r}")
    if samples.ndim == 1:
        samples = samples[None]
    if samples.ndim != 2 or samples.shape[0] != 1 or not samples.shape[1]:
        raise UserError(
            f"samples of one sound are [1, T] or [T], T from 1 on, not {list(given.samples.shape)}"
        )
    if not bool(torch.isfinite(samples).all()):
        raise UserError("the samples are not all finite numbers")
    return Audio(samples.float(), rate)


def each(given: Any, work: Callable[[Any], T]) -> T | list[T]:
    """What `work` makes of a sound, or a list of what it makes of each of several."""
    return [work(one) for one in given] if isinstance(given, list | tuple) else work(given)
