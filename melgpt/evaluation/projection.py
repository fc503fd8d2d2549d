"""Principal components: fewer features, where clips are too few for a covariance of all."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

MOST = 64
CLIPS_A_FEATURE = 4
ENOUGH_CLIPS = 2000
"""From so many clips on the features are compared as they are."""


@dataclass(frozen=True)
class Projection:
    """Rows [N, D] → the components [N, d] with the most variance of the rows that it was fitted to."""

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    """[D, d], orthonormal."""

    @classmethod
    def fit(cls, rows: NDArray[np.float64], width: int) -> Self:
        mean = rows.mean(0)
        _, _, axes = np.linalg.svd(rows - mean, full_matrices=False)
        return cls(mean, axes[:width].T)

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        projected: NDArray[np.float64] = (rows - self.mean) @ self.axes
        return projected


def width_for(clips: int, features: int) -> int | None:
    """Components for comparing sets of so many clips; None for all features.

    At most 64 and at least four clips for each, so that a covariance is more than its own noise.
    """
    if clips >= ENOUGH_CLIPS:
        return None
    return min(features, MOST, max(2, clips // CLIPS_A_FEATURE))
