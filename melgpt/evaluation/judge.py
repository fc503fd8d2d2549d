"""A row of the table: every measure of a set of clips against the real ones, overall and by class."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from melgpt.evaluation import intervals
from melgpt.evaluation.intervals import Interval
from melgpt.evaluation.listeners import Listeners
from melgpt.evaluation.projection import Projection
from melgpt.evaluation.rows import Row
from melgpt.evaluation.set_distances import Comparison, Judged, class_measures, divergence, kernel_width
from melgpt.evaluation.traits import distances, traits
from melgpt.types import MelScale


class Judge:
    """Knows the real clips that all rows are compared with."""

    def __init__(
        self,
        listeners: Listeners,
        real: Tensor,
        labels: NDArray[np.int64],
        *,
        classes: tuple[str, ...],
        projection: Projection | None,
        scale: MelScale,
        resamples: int,
        seed: int,
    ) -> None:
        """real: mels [B, F, frames] with their classes; projection: for the Fréchet distance."""
        self.listeners, self.classes, self.projection, self.scale = listeners, classes, projection, scale
        self.resamples, self.seed = resamples, seed
        self.real = Judged(listeners.hear(real), labels)
        self.traits = traits(real, scale)
        self.width = kernel_width(self.real.heard)

    def row(self, row: Row) -> dict[str, Any]:
        """The row as plain types. Sets are compared by as many clips of each class as there are real ones."""
        rows = as_many(row.labels, self.real.labels)
        made = Judged(self.listeners.hear(row.mels[rows]), row.labels[rows])
        named, labels = row.heard
        right = self.listeners.right(named, labels)
        options = {"resamples": self.resamples, "seed": self.seed}
        measures = self._sets(made, self.real)
        measures |= class_measures(made, **options) | divergence(made, self.real, **options)
        found_in, both = traits(row.mels[rows], self.scale), (made.labels, self.real.labels)
        measures |= distances(found_in, self.traits, both, **options)
        measures["accuracy"] = intervals.of_mean(right, **options)
        per_class = {}
        for label in np.unique(labels):
            one, other = made.of_class(label), self.real.of_class(label)
            found = self._sets(one, other) if min(len(one), len(other)) > 1 else {}
            if min(len(one), len(other)) > 1:
                found |= distances(found_in, self.traits, both, of_class=label, **options)
            found["accuracy"] = intervals.of_mean(right[labels == label], **options)
            per_class[self.classes[label]] = intervals.plain(found)
        return {
            "name": row.name,
            "role": row.role,
            "what": row.what,
            "clips": len(row.labels),
            "measures": {**intervals.plain(measures), **row.extra},
            "per_class": per_class,
        }

    def _sets(self, made: Judged, real: Judged) -> dict[str, Interval]:
        comparison = Comparison(made, real, width=self.width, projection=self.projection)
        return comparison.measures(resamples=self.resamples, seed=self.seed)


def as_many(labels: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first rows of each class, at most as many as are wanted."""
    found = [
        np.flatnonzero(labels == label)[:count]
        for label, count in zip(*np.unique(wanted, return_counts=True), strict=True)
    ]
    return np.concatenate(found)
