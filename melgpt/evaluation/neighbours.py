"""Precision, recall, density and coverage: how two sets lie in each other's neighbourhoods.

Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991 (precision, recall); Naeem et al. 2020,
https://arxiv.org/abs/2002.09797 (density, coverage). A clip's neighbourhood reaches to its k-th nearest of
its own set.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 5
Distances = NDArray[Any]


def distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> Distances:
    """Euclidean distances [N, M] of rows [N, D] and [M, D]."""
    square = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
    found: Distances = np.sqrt(square.clip(min=0))
    return found


def neighbourhoods(
    within_generated: Distances, within_real: Distances, across: Distances, *, k: int = NEIGHBOURS
) -> dict[str, float]:
    """From distances [N, N], [M, M] and [N, M]; NaN where a set has no k other clips.

    precision: share of generated clips in the neighbourhood of a real one; recall: the other way round;
    density: how many real neighbourhoods a generated clip lies in, over k; coverage: share of real
    neighbourhoods that hold a generated clip.
    """
    if min(len(within_generated), len(within_real)) <= k:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), float("nan"))
    of_generated, of_real = _reach(within_generated, k), _reach(within_real, k)
    inside = across <= of_real[None]
    return {
        "precision": float(inside.any(1).mean()),
        "recall": float((across <= of_generated[:, None]).any(0).mean()),
        "density": float(inside.sum() / (k * len(across))),
        "coverage": float(inside.any(0).mean()),
    }


def _reach(within: Distances, k: int) -> Distances:
    """Distance [N] from each row to its k-th nearest other one; itself is the first, at 0."""
    reach: Distances = np.partition(within, k, axis=1)[:, k]
    return reach
