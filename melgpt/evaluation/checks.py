"""What every measure of sets of samples asks of its arrays."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from melgpt.errors import UserError


def checked_samples(name: str, values: ArrayLike, least: int = 1) -> NDArray[np.float64]:
    """Rows [N, D], one a sample, in float64.

    Raises UserError where they have another shape, are fewer than `least`, or hold NaN or infinity.
    """
    samples = np.asarray(values, dtype=np.float64)
    if samples.ndim != 2 or not samples.shape[1]:
        raise UserError(f"{name} must be an array [samples, features], not {list(samples.shape)}")
    if len(samples) < least:
        raise UserError(f"{name} has {len(samples)} samples; this measure needs at least {least}")
    wrong = np.flatnonzero(~np.isfinite(samples).all(1))
    if len(wrong):
        raise UserError(
            f"{name} holds NaN or infinity in {len(wrong)} of {len(samples)} samples, "
            f"first in number {wrong[0]}"
        )
    return samples


def check_widths(names: tuple[str, str], one: NDArray[np.float64], other: NDArray[np.float64]) -> None:
    """Raises UserError where two sets do not have the same number of features."""
    if one.shape[1] != other.shape[1]:
        raise UserError(
            f"{names[0]} has {one.shape[1]} features a sample and {names[1]} has {other.shape[1]}: "
            "they do not come from the same network"
        )
