"""What tells a blurred sound from a sharp one, clip by clip, and how far two sets of clips differ in it.

Listeners that learnt from few clips forgive blur; these measures do not. All are taken from mels as they are
heard, [B, F, N] in [0, 1].
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from melgpt.audio.mel import magnitudes
from melgpt.evaluation.intervals import Interval, Rows, of_sets
from melgpt.types import MelScale

Values = NDArray[np.float64]
Traits = dict[str, Values]
"""Values [B, D] of each trait."""

GROUPS = 8
"""Groups of neighbouring bands in which each trait is taken."""
RATES_HZ = (2.0, 4.0, 8.0, 16.0, 43.0)
"""Edges of the modulation bands: how often a second a band's level goes up and down."""
BLOCK_SECONDS = 1.0
"""Modulation is taken over so long a stretch."""
AUDIBLE_DB = 40.0
"""Frames that are further below the loudest one than this are not looked at."""
STEEPEST = 0.05
"""Share of all rises of level, the steepest, that count as onsets."""
RISE_SECONDS = 0.025
QUANTILES = 16
"""Places at which the values of two sets are compared."""


@torch.no_grad()
def traits(mels: Tensor, scale: MelScale) -> Traits:
    """All traits of clips [B, F, N]."""
    decibels = 20 * magnitudes(mels, scale).clamp(min=1e-7).log10()
    audible = decibels.amax(1, keepdim=True) > decibels.amax((1, 2), keepdim=True) - AUDIBLE_DB
    made = {name: take(decibels, audible, scale) for name, take in _TRAITS.items()}
    return {name: values.double().numpy() for name, values in made.items()}


def distances(
    made: Traits,
    real: Traits,
    labels: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    of_class: int | None = None,
    resamples: int,
    seed: int,
) -> dict[str, Interval]:
    """Of each trait: how far the made clips of a class lie from the real ones of it, the mean over classes.

    labels: of the made and of the real clips; of_class: only this one counts. The Wasserstein distance of
    each dimension's values in units of what real clips of one class differ by (their standard deviation), the
    mean over dimensions. Real clips have one that is not 0, as they are few.
    """
    spread = {name: _within(values, labels[1]) for name, values in real.items()}
    rows = [np.flatnonzero((each == of_class) | (of_class is None)) for each in labels]

    def measure(one: Rows, other: Rows) -> dict[str, float]:
        one, other = rows[0][one], rows[1][other]
        return {
            name: _distance((made[name][one], labels[0][one]), (real[name][other], labels[1][other]), wide)
            for name, wide in spread.items()
        }

    sizes = len(rows[0]), len(rows[1])
    bounds = dict.fromkeys(spread, (0.0, np.inf))
    return of_sets(measure, sizes, resamples=resamples, seed=seed, bounds=bounds)


def _within(values: Values, labels: NDArray[np.int64]) -> Values:
    """Standard deviation [D] of values within their classes."""
    classes = [values[labels == label] for label in np.unique(labels)]
    centred = np.concatenate([each - each.mean(0) for each in classes])
    return np.maximum(np.sqrt((centred**2).mean(0)), 1e-3)


Side = tuple[Values, NDArray[np.int64]]


def _distance(made: Side, real: Side, wide: Values) -> float:
    found = [
        _wasserstein(made[0][made[1] == label], real[0][real[1] == label]) / wide
        for label in np.intersect1d(made[1], real[1])
    ]
    return float(np.mean(found)) if found else float("nan")


def _wasserstein(one: Values, other: Values) -> Values:
    """Mean distance [D] of the quantiles of values [A, D] and [B, D]."""
    places = (np.arange(QUANTILES) + 0.5) / QUANTILES
    found: Values = np.abs(np.quantile(one, places, axis=0) - np.quantile(other, places, axis=0)).mean(0)
    return found


def _groups(values: Tensor) -> Tensor:
    """[B, F, N] → [B, GROUPS, N], the means of neighbouring bands."""
    return F.adaptive_avg_pool1d(values.transpose(1, 2), GROUPS).transpose(1, 2)


def _modulation(decibels: Tensor, audible: Tensor, scale: MelScale) -> Tensor:
    """How much the bands' levels move at each rate, in dB: [B, GROUPS * rates].

    A band's level over a second under a Hann window, its Fourier transform, the mean power in each stretch of
    rates; blur in time takes the quick ones away.
    """
    length = max(8, round(BLOCK_SECONDS * scale.frames_per_second))
    floor = decibels.amax((1, 2), keepdim=True) - 2 * AUDIBLE_DB
    level = F.pad(torch.maximum(decibels, floor), (0, max(0, length - decibels.shape[-1])), mode="replicate")
    parts = level.unfold(-1, length, length // 2)  # [B, F, parts, length]
    parts = (parts - parts.mean(-1, keepdim=True)) * torch.hann_window(length)
    power = torch.fft.rfft(parts).abs().square().mean(2)  # [B, F, bins]
    rates = torch.fft.rfftfreq(length, 1 / scale.frames_per_second)
    found = []
    for low, high in pairwise((0.5, *RATES_HZ)):
        inside = (rates >= low) & (rates < high)
        if inside.any():
            found.append(_groups(power[..., inside].mean(-1, keepdim=True))[..., 0])
    return 10 * torch.cat(found, dim=1).clamp(min=1e-3).log10()


def _flatness(decibels: Tensor, audible: Tensor, scale: MelScale) -> Tensor:
    """How much neighbouring bands differ in audible frames, in dB: [B, GROUPS].

    The standard deviation of a band's level beside the mean of five; blur over frequency makes it small, as
    it does to harmonics.
    """
    across = decibels.transpose(1, 2)
    mean = F.avg_pool1d(across, 5, stride=1, padding=2, count_include_pad=False)
    square = (across - mean).transpose(1, 2).square() * audible
    share = audible.float().mean(-1).clamp(min=1e-6)
    return 10 * (_groups(square).mean(-1) / share).clamp(min=1e-3).log10()


def _onsets(decibels: Tensor, audible: Tensor, scale: MelScale) -> Tensor:
    """How steeply levels rise, in dB within 25 ms, the mean of the steepest: [B, GROUPS]."""
    floor = decibels.amax((1, 2), keepdim=True) - AUDIBLE_DB
    level = _groups(torch.maximum(decibels, floor))
    step = max(1, round(RISE_SECONDS * scale.frames_per_second))
    rises = level[..., step:] - level[..., :-step]
    if not rises.shape[-1]:
        return torch.zeros(level.shape[:2])
    count = max(1, round(STEEPEST * rises.shape[-1]))
    return rises.topk(count, dim=-1).values.mean(-1).clamp(min=0)


def _begin(decibels: Tensor, audible: Tensor, scale: MelScale) -> Tensor:
    """When the first audible frame is, in seconds: [B, 1]."""
    return audible[:, 0].float().argmax(-1, keepdim=True) / scale.frames_per_second


def _length(decibels: Tensor, audible: Tensor, scale: MelScale) -> Tensor:
    """Seconds up to the last audible frame: [B, 1]."""
    behind = audible[:, 0].flip(-1).float().argmax(-1, keepdim=True)
    return (audible.shape[-1] - behind) / scale.frames_per_second


def _peak(decibels: Tensor, audible: Tensor, scale: MelScale) -> Tensor:
    """Level of the loudest band and frame, in dB: [B, 1]."""
    return decibels.amax((1, 2))[:, None]


_TRAITS: dict[str, Callable[[Tensor, Tensor, MelScale], Tensor]] = {
    "modulation": _modulation,
    "flatness": _flatness,
    "onsets": _onsets,
    "begin": _begin,
    "length": _length,
    "peak": _peak,
}
BLUR = ("modulation", "flatness", "onsets")
"""The traits that a blurred sound lacks."""
