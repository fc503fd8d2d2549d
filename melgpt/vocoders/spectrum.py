"""The inverse short-time Fourier transform as a layer: with an FFT, or for export without complex numbers."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_WEIGHT = 1e-3
"""Where hardly any window reaches (the far ends) dividing would blow up rounding noise."""


class InverseSTFT(nn.Module):
    """Real and imaginary parts [B, N, n_fft // 2 + 1] → samples [B, hop * N], overlapped and added.

    `center`: frame n lies around sample n * hop, as `audio.mel` cuts them; `same`: half a hop later.
    """

    window: Tensor
    basis: Tensor
    forward_basis: Tensor

    def __init__(self, n_fft: int, hop: int, padding: Literal["center", "same"] = "center") -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.first = n_fft // 2 if padding == "center" else (n_fft - hop) // 2
        self.by_matrix = False
        self.register_buffer("window", torch.hann_window(n_fft))
        for name in ("basis", "forward_basis"):
            self.register_buffer(name, torch.empty(0), persistent=False)

    @property
    def reach(self) -> int:
        """Frames to either side that a sample depends on."""
        return math.ceil(self.n_fft / 2 / self.hop) + 1

    def for_export(self) -> None:
        """From now on as a matrix product and a transposed convolution: nothing that an exporter lacks."""
        self.basis, self.forward_basis = (part.to(self.window.device) for part in _bases(self.n_fft))
        self.by_matrix = True

    def forward(self, real: Tensor, imaginary: Tensor) -> Tensor:
        count = real.shape[1]
        samples = self._join(real, imaginary)[:, self.first :]
        missing = count * self.hop - samples.shape[1]
        return F.pad(samples, (0, missing))[:, : count * self.hop]

    def nearest(self, real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
        """The spectrum of the sound that a spectrum gives: the nearest one that a sound can have."""
        frames = self._join(real, imaginary).unfold(-1, self.n_fft, self.hop) * self.window
        if self.by_matrix:
            both = frames @ self.forward_basis
            return both[..., : real.shape[-1]], both[..., real.shape[-1] :]
        spectrum = torch.fft.rfft(frames)
        return spectrum.real, spectrum.imag

    def _join(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Samples [B, (N - 1) * hop + n_fft], from the first sample of the first frame on."""
        if self.by_matrix:
            frames = torch.cat([real, imaginary], dim=-1) @ self.basis
        else:
            frames = torch.fft.irfft(torch.complex(real, imaginary), n=self.n_fft)
        samples = overlap_add(frames * self.window, self.hop, by_convolution=self.by_matrix)
        weights = self.window.square().expand(1, real.shape[1], -1)
        weight = overlap_add(weights, self.hop, by_convolution=self.by_matrix).clamp(min=LEAST_WEIGHT)
        return samples / weight


def overlap_add(frames: Tensor, hop: int, *, by_convolution: bool = False) -> Tensor:
    """Frames [B, N, n_fft] → their sum [B, (N - 1) * hop + n_fft], each a hop behind the one before."""
    count, n_fft = frames.shape[1:]
    if by_convolution:
        place = torch.eye(n_fft, device=frames.device).unsqueeze(1)
        return F.conv_transpose1d(frames.transpose(1, 2), place, stride=hop).squeeze(1)
    parts = -(-n_fft // hop)
    pieces = F.pad(frames, (0, parts * hop - n_fft)).unflatten(-1, (parts, hop))
    total = sum(F.pad(pieces[:, :, i], (0, 0, i, parts - 1 - i)) for i in range(parts))
    assert isinstance(total, Tensor)
    return total.flatten(1)[:, : (count - 1) * hop + n_fft]


def _bases(n_fft: int) -> tuple[Tensor, Tensor]:
    """Matrices of a real frame's inverse transform [2 * (n_fft // 2 + 1), n_fft], and of its transform."""
    bins, time = torch.arange(n_fft // 2 + 1).double(), torch.arange(n_fft).double()
    turns = 2 * math.pi / n_fft * torch.outer(bins, time).remainder(n_fft)
    waves = torch.cat([turns.cos(), -turns.sin()])
    # Every bin but the first and, for an even length, the last stands for itself and its mirror image.
    twice = torch.full((len(bins), 1), 2.0, dtype=torch.float64)
    twice[0] = 1
    if n_fft % 2 == 0:
        twice[-1] = 1
    inverse = twice.repeat(2, 1) * waves / n_fft
    return inverse.float().contiguous(), waves.T.float().contiguous()
