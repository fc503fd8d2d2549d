"""95 % intervals of measures, by drawing clips again.

A mean is drawn with replacement (Efron's bootstrap). Distances and neighbourhoods of sets would take a clip
that is drawn twice for a near copy; for them halves are drawn without replacement: a half's deviation from
the mean of all halves has the variance of the whole set's value (Politis, Romano and Wolf 1999,
"Subsampling").
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 200
OUTER = (2.5, 97.5)
Rows = NDArray[np.int64]
Measures = dict[str, float]


@dataclass(frozen=True)
class Interval:
    """A measure with the bounds in which it lies 95 times of 100 for other clips of the same kind."""

    value: float
    low: float
    high: float

    def plain(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


def plain(measures: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    """Intervals by their names, for JSON."""
    return {name: interval.plain() for name, interval in measures.items()}


def of_mean(values: NDArray[np.floating], *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Of the mean of values [N], one a clip."""
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(0, len(values), (resamples, len(values)))].mean(1)
    low, high = np.percentile(drawn, OUTER)
    return Interval(float(values.mean()), float(low), float(high))


def of_sets(
    measure: Callable[[Rows, Rows], Measures],
    sizes: tuple[int, int],
    *,
    paired: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Interval]:
    """Of measures that look at some rows of one set and some of another.

    paired: the same rows of both. bounds: least and most that a measure can be. A measure that has no value
    (NaN) for all rows, or for halves of them, is left out: so few clips tell nothing.
    """
    rng, bounds = np.random.default_rng(seed), bounds or {}
    whole = measure(np.arange(sizes[0]), np.arange(sizes[1]))
    halves: dict[str, list[float]] = {name: [] for name, value in whole.items() if math.isfinite(value)}
    for _ in range(resamples if min(sizes) >= 4 else 0):
        one, other = (rng.permutation(size)[: size // 2] for size in sizes)
        found = measure(one, one if paired else other)
        for name, values in halves.items():
            if math.isfinite(found[name]):
                values.append(found[name])
    return {
        name: _centred(whole[name], values, bounds.get(name)) for name, values in halves.items() if values
    }


def _centred(value: float, halves: list[float], bounds: tuple[float, float] | None) -> Interval:
    low, high = value + np.percentile(np.array(halves) - np.mean(halves), OUTER)
    if bounds is not None:
        low, high = np.clip([low, high], *bounds)
    # Rounding, and halves that all give the same, may leave the value itself outside.
    return Interval(value, min(value, float(low)), max(value, float(high)))
