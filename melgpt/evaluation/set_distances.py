"""One set of clips against the real ones: all distances of sets, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melgpt.evaluation import intervals
from melgpt.evaluation.class_scores import inception_score, paired_divergence
from melgpt.evaluation.distances import frechet_distance, kernel_distance
from melgpt.evaluation.hearing import Heard
from melgpt.evaluation.intervals import Interval, Rows
from melgpt.evaluation.kernels import bandwidth, cubic, discrepancy, gaussian, vendi
from melgpt.evaluation.neighbours import NEIGHBOURS, distances, neighbourhoods
from melgpt.evaluation.projection import Projection

LEAST_FOR_FRECHET = 8
"""Clips on each side below which a covariance says nothing."""
SUBSET = 1000
"""Clips of each side that KID looks at together."""
BOUNDS = {
    "frechet": (0.0, float("inf")),
    "inception_score": (1.0, float("inf")),
    "kl": (0.0, float("inf")),
    "vendi": (1.0, float("inf")),
    "density": (0.0, float("inf")),
    **dict.fromkeys(("precision", "recall", "coverage", "accuracy"), (0.0, 1.0)),
}


@dataclass(frozen=True)
class Judged:
    """Clips with their classes and what the extractor makes of them."""

    heard: Heard
    labels: NDArray[np.int64]

    def of_class(self, label: int) -> "Judged":
        rows = np.flatnonzero(self.labels == label)
        return Judged(self.heard[rows], self.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)


class Comparison:
    """Distances and kernels of two sets, computed once for all draws of clips."""

    def __init__(self, made: Judged, real: Judged, *, width: float, projection: Projection | None) -> None:
        """width: of the Gaussian kernel. projection: for the Fréchet distance; None compares all features."""
        self.made, self.real = made, real
        one, other = made.heard.features, real.heard.features
        self._one, self._other = (one, other) if projection is None else (projection(one), projection(other))
        self._distances = distances(one, one), distances(other, other), distances(one, other)
        self._gaussian = tuple(gaussian(each, width) for each in self._distances)
        self._cubic = cubic(one, one), cubic(other, other), cubic(one, other)

    def measures(self, *, resamples: int, seed: int) -> dict[str, Interval]:
        """frechet, kad, kid, precision, recall, density, coverage and vendi, where there are enough clips."""
        sizes = len(self.made), len(self.real)
        found = intervals.of_sets(self._all, sizes, resamples=resamples, seed=seed, bounds=BOUNDS)
        if "kid" in found and min(sizes) > SUBSET:
            # The mean over random subsets, as the originals; they are too many for the interval, which stays.
            mean = kernel_distance(
                self.made.heard.features, self.real.heard.features, subset_size=SUBSET
            ).mean
            shift = mean - found["kid"].value
            found["kid"] = Interval(mean, found["kid"].low + shift, found["kid"].high + shift)
        return found

    def _all(self, one: Rows, other: Rows) -> dict[str, float]:
        places = np.ix_(one, one), np.ix_(other, other), np.ix_(one, other)

        def part(three: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
            return [each[place] for each, place in zip(three, places, strict=True)]

        kernel = part(self._gaussian)
        enough = min(len(self.made), len(self.real)) >= LEAST_FOR_FRECHET
        return {
            "frechet": frechet_distance(self._one[one], self._other[other]) if enough else float("nan"),
            "kad": discrepancy(*kernel),
            "kid": discrepancy(*part(self._cubic)),
            **neighbourhoods(*part(self._distances), k=NEIGHBOURS),
            "vendi": vendi(kernel[0]) if len(one) > 1 else float("nan"),
        }


def class_measures(made: Judged, *, resamples: int, seed: int) -> dict[str, Interval]:
    """inception_score of the clips."""
    logits = made.heard.logits

    def measure(one: Rows, _: Rows) -> dict[str, float]:
        return {"inception_score": inception_score(logits[one], splits=1, seed=None).mean}

    return intervals.of_sets(measure, (len(made), len(made)), resamples=resamples, seed=seed, bounds=BOUNDS)


def divergence(made: Judged, real: Judged, *, resamples: int, seed: int) -> dict[str, Interval]:
    """kl of pairs of one class: the i-th made clip of a class and its i-th real one."""
    pairs: list[tuple[int, int]] = []
    for label in np.unique(real.labels):
        sides = [np.flatnonzero(each.labels == label) for each in (made, real)]
        count = min(map(len, sides))
        pairs += zip(*(rows[:count] for rows in sides), strict=True)
    if not pairs:
        return {}
    rows = np.array(pairs)
    fake, true = made.heard.logits[rows[:, 0]], real.heard.logits[rows[:, 1]]

    def measure(one: Rows, _: Rows) -> dict[str, float]:
        return {"kl": paired_divergence(fake[one], true[one])}

    return intervals.of_sets(
        measure, (len(rows), len(rows)), paired=True, resamples=resamples, seed=seed, bounds=BOUNDS
    )


def kernel_width(real: Heard) -> float:
    """Width of the Gaussian kernel for a reference."""
    return bandwidth(distances(real.features, real.features))
