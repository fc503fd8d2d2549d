"""Measures on a kernel: how far apart two sets are (kernel distances), and how varied one set is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Kernel = NDArray[Any]


def bandwidth(within_real: NDArray[Any]) -> float:
    """Median distance of two different real clips, from distances [M, M]; 1 where they are all the same."""
    upper = within_real[np.triu_indices(len(within_real), 1)]
    middle = float(np.median(upper)) if len(upper) else 0.0
    return middle or 1.0


def gaussian(distance: NDArray[Any], width: float) -> Kernel:
    """exp(-d² / (2 width²)) of distances [N, M]."""
    kernel: Kernel = np.exp(-((distance / width) ** 2) / 2)
    return kernel


def cubic(one: NDArray[Any], other: NDArray[Any]) -> Kernel:
    """(x·y / D + 1)³ of features [N, D] and [M, D]."""
    kernel: Kernel = (one @ other.T / one.shape[1] + 1) ** 3
    return kernel


def discrepancy(within_one: Kernel, within_other: Kernel, across: Kernel) -> float:
    """Unbiased squared maximum mean discrepancy from kernels [N, N], [M, M] and [N, M]; NaN below 2 clips.

    Gretton et al. 2012, equation 3 (http://jmlr.org/papers/v13/gretton12a.html). On a Gaussian kernel whose
    width is the reference's median distance it is the kernel audio distance (KAD) of Chung et al. 2025,
    https://arxiv.org/abs/2502.15602, not multiplied by anything. It may fall below 0.
    """
    if min(across.shape) < 2:
        return float("nan")
    within = sum(
        float(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))
        for kernel in (within_one, within_other)
    )
    return within - 2 * float(across.mean())


def vendi(within: Kernel) -> float:
    """Number of clips that would be as varied if no two were alike, from a kernel [N, N] with 1 for equal.

    exp of the entropy of the eigenvalues of the kernel over N: Friedman and Dieng 2022,
    https://arxiv.org/abs/2210.02410. From 1 (all the same) to N.
    """
    values = linalg.eigvalsh(within / len(within))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
