"""How far apart two sets of features are: as a whole, not clip by clip. Small is near; 0 is the same.

Features are rows [N, D], such as Melception's `2048`. The defaults of the options are the originals'.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from melgpt.errors import UserError
from melgpt.evaluation.checks import check_widths, checked_samples
from melgpt.evaluation.kernels import cubic, discrepancy

_NAMES = ("generated", "real")


def frechet_distance(generated: ArrayLike, real: ArrayLike) -> float:
    """Fréchet distance of two sets of features [N, D] and [M, D], each taken for a normal distribution.

    |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½), with the covariances divided by N - 1: the FID of Heusel et al.
    2017, https://arxiv.org/abs/1706.08500, on features of another network. It falls with the number of
    samples, so compare sets of one size. Raises UserError for fewer than two samples, NaN and unequal D.
    """
    one, other = checked_samples(_NAMES[0], generated, 2), checked_samples(_NAMES[1], real, 2)
    check_widths(_NAMES, one, other)
    shift = one.mean(0) - other.mean(0)
    spread_one, spread_other = np.atleast_2d(np.cov(one.T)), np.atleast_2d(np.cov(other.T))
    # tr (S1 S2)^½ is the sum of the roots of the eigenvalues of S1^½ S2 S1^½, which is symmetric: unlike the
    # root of the product itself they are real, for singular matrices too (fewer samples than features).
    half = _root(spread_one)
    shared = np.sqrt(linalg.eigvalsh(half @ spread_other @ half).clip(min=0)).sum()
    return float(shift @ shift + np.trace(spread_one) + np.trace(spread_other) - 2 * shared)


@dataclass(frozen=True)
class Spread:
    """Mean and population standard deviation of a measure over subsets or splits."""

    mean: float
    std: float


def kernel_distance(
    generated: ArrayLike,
    real: ArrayLike,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 2020,
) -> Spread:
    """Squared maximum mean discrepancy of two sets of features [N, D] and [M, D], over random subsets.

    Kernel (x·y / D + 1)³, unbiased, so it does not depend on the number of samples and may fall below 0:
    the KID of Binkowski et al. 2018, https://arxiv.org/abs/1801.01401. A subset is as large as the smaller
    set at most. Raises UserError for fewer than two samples, NaN and unequal D.
    """
    one, other = checked_samples(_NAMES[0], generated, 2), checked_samples(_NAMES[1], real, 2)
    check_widths(_NAMES, one, other)
    if subsets < 1 or subset_size < 2:
        raise UserError(f"subsets of at least 2 samples are needed, not {subsets} of {subset_size}")
    size = min(subset_size, len(one), len(other))
    random = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        some, others = (each[random.choice(len(each), size, replace=False)] for each in (one, other))
        values.append(discrepancy(cubic(some, some), cubic(others, others), cubic(some, others)))
    return Spread(float(np.mean(values)), float(np.std(values)))


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square root of a symmetric, positive semi-definite matrix."""
    values, vectors = linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root
