"""How alike two mels are at the shift in time at which they are most alike."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melgpt.progress import Progress

RANK = 5
AT_ONCE = 16
"""Clips that are compared with a block of others at a time."""


@dataclass(frozen=True)
class Nearest:
    """For each clip its nearest of another set: distance, row there, frames by which that one lies later.

    further: distance to its RANK-th nearest, or the last one of fewer: how near clips of its kind are anyway.
    """

    distance: NDArray[np.float64]
    further: NDArray[np.float64]
    row: NDArray[np.int64]
    shift: NDArray[np.int64]


@torch.inference_mode()
def nearest_over_shifts(clips: Tensor, others: Iterable[Tensor], bar: Progress | None = None) -> Nearest:
    """clips [B, F, N] and others in blocks [m, F, N] in [0, 1], silent outside; bar: advanced by all others.

    The distance is |a - b|² / (|a|² + |b|²) under the best shift of b, from 0 for the same to 1 where nothing
    sounds at the same place. All shifts come from one correlation in the frequency domain.
    """
    length = clips.shape[-1]
    least = torch.full((len(clips),), float("inf"))
    nearest: list[list[Tensor]] = [[] for _ in clips.split(AT_ONCE)]
    rows, shifts = torch.zeros(len(clips), dtype=torch.int64), torch.zeros(len(clips), dtype=torch.int64)
    spectra = [_spectrum(part) for part in clips.split(AT_ONCE)]
    first = 0
    for block in others:
        known, energy = _spectrum(block), block.square().sum((1, 2))
        for number, (part, spectrum) in enumerate(zip(clips.split(AT_ONCE), spectra, strict=True)):
            product = torch.bmm(spectrum.transpose(1, 2).conj(), known)  # [bins, b, m]
            best, shift = torch.fft.irfft(product, n=2 * length, dim=0).max(0)
            total = part.square().sum((1, 2))[:, None] + energy[None]
            distances = ((total - 2 * best) / total.clamp(min=1e-9)).clamp(min=0)
            nearest[number].append(distances.topk(min(RANK, len(block)), dim=1, largest=False).values)
            distance, row = distances.min(1)
            here = slice(number * AT_ONCE, number * AT_ONCE + len(part))
            better = distance < least[here]
            least[here] = torch.where(better, distance, least[here])
            rows[here] = torch.where(better, row + first, rows[here])
            shifts[here] = torch.where(better, shift.gather(1, row[:, None])[:, 0], shifts[here])
        first += len(block)
        if bar is not None:
            bar.advance(len(block))
    shifts = torch.where(shifts >= length, shifts - 2 * length, shifts)
    further = torch.cat([torch.cat(each, 1).sort(1).values[:, :RANK][:, -1] for each in nearest])
    return Nearest(least.double().numpy(), further.double().numpy(), rows.numpy(), shifts.numpy())


def _spectrum(mels: Tensor) -> Tensor:
    """[B, F, N] → [bins, F, B] complex, of the mels followed by as much silence."""
    return torch.fft.rfft(mels.float(), n=2 * mels.shape[-1]).permute(2, 1, 0).contiguous()
