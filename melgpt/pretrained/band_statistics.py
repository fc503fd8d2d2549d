"""The originals' text file of a training set's mel statistics: one row a band, `mean std` of the [0, 1] mel.

Classifier and perceptual loss normalise with it: `(mel - mean) / std`, band by band. Their file is called
`train_means_stds_melspec_10s_22050hz.txt`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from melgpt.errors import UserError
from melgpt.paths import atomic


@dataclass(frozen=True)
class BandStatistics:
    """mean [F] and std [F] float32 of each band of the [0, 1] mel over a training set; std is above 0."""

    mean: Tensor
    std: Tensor

    @classmethod
    def identity(cls, bands: int = 80) -> Self:
        """For mels that are normalised elsewhere: mean 0, deviation 1."""
        return cls(torch.zeros(bands), torch.ones(bands))


def read(path: Path, bands: int = 80) -> BandStatistics:
    """Statistics of `bands` bands. Raises UserError with the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as mel statistics: {error}") from None
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if len(rows) != bands:
        raise UserError(
            f"{path} has {len(rows)} rows of mel statistics; one for each of {bands} bands is needed"
        )
    mean, std = torch.tensor(rows, dtype=torch.float32).unbind(1)
    return BandStatistics(mean, std)


def write(path: Path, statistics: BandStatistics) -> None:
    """The same file, 8 decimals as the originals wrote it."""
    rows = zip(statistics.mean.tolist(), statistics.std.tolist(), strict=True)
    with atomic(path) as temporary:
        temporary.write_text("".join(f"{mean:.8f} {std:.8f}\n" for mean, std in rows), encoding="utf-8")


def _row(path: Path, number: int, line: str) -> tuple[float, float]:
    try:
        mean, std = map(float, line.split())
    except ValueError:
        raise UserError(
            f"{path}, line {number}: two numbers 'mean std' were expected, not '{line.strip()}'"
        ) from None
    if not (abs(mean) < float("inf") and 0 < std < float("inf")):
        raise UserError(
            f"{path}, line {number}: a finite mean and a std above 0 were expected, not '{line.strip()}'"
        )
    return mean, std
