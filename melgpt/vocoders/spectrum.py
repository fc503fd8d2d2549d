"""The inverse short-time Fourier transform as a layer: with an FFT, or for export without complex numbers."""

import math
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.native.kernels import Kernels, find_kernels, transforms

ALPHA, BETA, GAMMA = 1.0, 1.5, 1.25
"""How much faster than Griffin and Lim (1984): what is still moving moves on. Nenov, Nguyen and Balazs 2023,
Faster than fast: accelerating the Griffin-Lim algorithm (ICASSP); alpha alone is the fast version of 2013."""
TINY = 1e-5
"""Magnitude below which a bin has no phase."""
LEAST_WEIGHT = 1e-3
"""Where hardly any window reaches (the far ends) dividing would blow up rounding noise."""


class InverseSTFT(nn.Module):
    """A spectrum → the sound whose own spectrum is nearest to it (Griffin, Lim 1984).

    It refines with a compiled kernel where `compiled` allows that and no gradients are wanted.
    `center`: frame n lies around sample n * hop, as `audio.mel` cuts them; `same`: half a hop later.
    """

    window: Tensor
    inverse: Tensor
    direct: Tensor

    def __init__(self, n_fft: int, hop: int, padding: Literal["center", "same"] = "center") -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.first = n_fft // 2 if padding == "center" else (n_fft - hop) // 2
        self.by_matrix = self.compiled = False
        self.register_buffer("window", torch.hann_window(n_fft))
        for name in ("inverse", "direct"):
            self.register_buffer(name, torch.empty(0), persistent=False)

    @property
    def reach(self) -> int:
        """Frames to either side that a sample depends on."""
        return math.ceil(self.n_fft / 2 / self.hop) + 1

    def for_export(self) -> None:
        """From now on as a matrix product and a transposed convolution: nothing that an exporter lacks."""
        self.inverse, self.direct = (part.to(self.window.device) for part in _bases(self.n_fft))
        self.by_matrix = True

    def forward(self, magnitude: Tensor, phase: Tensor, refine: int = 0) -> Tensor:
        """Magnitudes and phases [B, N, n_fft // 2 + 1] → samples [B, hop * N].

        refine: steps of Griffin and Lim that first make the phases of neighbouring frames suit each other.
        """
        count = magnitude.shape[1]
        weights = self.window.square().expand(1, count, -1)
        weight = overlap_add(weights, self.hop, by_convolution=self.by_matrix).clamp(min=LEAST_WEIGHT)
        spectrum: Tensor = torch.stack([magnitude * phase.cos(), magnitude * phase.sin()])
        if not self.by_matrix:
            spectrum = torch.complex(*spectrum)
        if refine and (kernels := self._kernels(magnitude)) is not None:
            clips = [
                kernels.refine(*clip, self.window, weight[0], self.hop, refine, (ALPHA, BETA, GAMMA))
                for clip in zip(spectrum, magnitude, strict=True)
            ]
            samples = torch.stack(clips)
        else:
            samples = self._join(self._refined(spectrum, magnitude, weight, refine), weight)
        samples = samples[:, self.first :]
        missing = count * self.hop - samples.shape[1]
        return F.pad(samples, (0, missing))[:, : count * self.hop]

    def _kernels(self, magnitude: Tensor) -> Kernels | None:
        known = not self.by_matrix and transforms(self.n_fft)
        learns = torch.is_grad_enabled() and magnitude.requires_grad
        if not self.compiled or not known or learns or magnitude.device.type != "cpu":
            return None
        return find_kernels()

    # A spectrum is complex [B, N, bins], or by matrix its two parts [2, B, N, bins].

    def _refined(self, spectrum: Tensor, magnitude: Tensor, weight: Tensor, steps: int) -> Tensor:
        before = mixed = None
        for _ in range(steps):
            now = self._split(self._join(spectrum, weight))
            if before is None or mixed is None:
                ahead = mixed = now
            else:
                now = (1 - GAMMA) * mixed + GAMMA * now
                moved = now - before
                ahead, mixed = now + ALPHA * moved, now + BETA * moved
            spectrum, before = self._with_size(ahead, magnitude), now
        return spectrum

    def _join(self, spectrum: Tensor, weight: Tensor) -> Tensor:
        """Samples [B, (N - 1) * hop + n_fft], from the first sample of the first frame on."""
        if self.by_matrix:
            frames = torch.cat([spectrum[0], spectrum[1]], dim=-1) @ self.inverse
        else:
            frames = torch.fft.irfft(spectrum, n=self.n_fft)
        return overlap_add(frames * self.window, self.hop, by_convolution=self.by_matrix) / weight

    def _split(self, samples: Tensor) -> Tensor:
        """The spectrum of such samples."""
        if not self.by_matrix:
            return torch.fft.rfft(samples.unfold(-1, self.n_fft, self.hop) * self.window)
        kernels = (self.direct * self.window[:, None]).T.unsqueeze(1)  # [2 * bins, 1, n_fft]
        return torch.stack(F.conv1d(samples.unsqueeze(1), kernels, stride=self.hop).mT.chunk(2, dim=-1))

    def _with_size(self, spectrum: Tensor, magnitude: Tensor) -> Tensor:
        """The spectrum's phases with these magnitudes; of its two parts, as complex numbers are slow here."""
        parts = spectrum if self.by_matrix else torch.view_as_real(spectrum).movedim(-1, 0)
        real, imaginary = parts.unbind()
        scale = magnitude * torch.addcmul(imaginary.square() + TINY**2, real, real).rsqrt()
        scaled = real * scale, imaginary * scale
        return torch.stack(scaled) if self.by_matrix else torch.complex(*scaled)


def overlap_add(frames: Tensor, hop: int, *, by_convolution: bool = False) -> Tensor:
    """Frames [B, N, n_fft] → their sum [B, (N - 1) * hop + n_fft], each a hop behind the one before."""
    count, n_fft = frames.shape[1:]
    if by_convolution:
        place = torch.eye(n_fft, device=frames.device).unsqueeze(1)
        return F.conv_transpose1d(frames.transpose(1, 2), place, stride=hop).squeeze(1)
    parts = -(-n_fft // hop)
    if missing := parts * hop - n_fft:
        frames = F.pad(frames, (0, missing))
    # Nothing in place: that is copied once more on the way back.
    shifted = (F.pad(part, (0, 0, i, parts - 1 - i)) for i, part in enumerate(frames.split(hop, dim=-1)))
    return reduce(torch.add, shifted).flatten(1)[:, : (count - 1) * hop + n_fft]


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
