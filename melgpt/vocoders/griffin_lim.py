"""Mel → sound without weights: fast Griffin-Lim (Perraudin, Balazs, Søndergaard 2013) after a band inversion.

Griffin and Lim (1984) go to and fro between the wanted magnitudes and the nearest spectrum that a sound can
have; the momentum of the fast version roughly halves the error for the same number of steps.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from melgpt.audio.mel import magnitudes, mel_filterbank
from melgpt.config import KindConfig
from melgpt.types import MelScale
from melgpt.vocoders.base import Vocoder

NNLS_STEPS = 20
"""Multiplicative steps of the non-negative inversion; ten times as many change the mel by less than 1e-4."""


class GriffinLimConfig(KindConfig):
    """Options of the vocoder without weights."""

    kind: str = "griffin_lim"
    mel: MelScale = MelScale()
    """The mel that it understands."""
    iterations: int = Field(32, ge=1)
    """Rounds between magnitudes and sound: more are closer to the mel and take proportionally longer."""
    momentum: float = Field(0.99, ge=0, lt=1.5)
    """Acceleration of the fast version; 0 is the plain algorithm of 1984."""
    inversion: Literal["nnls", "pinv"] = "nnls"
    """Bands → frequency bins: a non-negative fit in proportion to each band, or the clipped pseudo-inverse"""
    seed: int = 0
    """Seed of the starting phases where the caller gives no generator."""


class GriffinLim(Vocoder):
    """Sound whose mel comes close to the given one; nothing to train.

    Works only with the frequency bins that some band covers: what the mel does not tell stays silent.
    """

    Config = GriffinLimConfig
    trainable = False
    takes_past = True
    window: Tensor
    bank: Tensor
    inverse: Tensor

    def __init__(self, config: GriffinLimConfig) -> None:
        super().__init__()
        self.config = config
        bank = mel_filterbank(config.mel)
        used = bank.sum(0).nonzero().flatten()
        self.first, self.last = int(used[0]), int(used[-1]) + 1
        bank = bank[:, self.first : self.last]
        inverse = torch.linalg.pinv(bank.double()).float()
        window = torch.hann_window(config.mel.n_fft, periodic=True)
        for name, tensor in {"bank": bank, "inverse": inverse, "window": window}.items():
            self.register_buffer(name, tensor.contiguous(), persistent=False)

    @property
    def scale(self) -> MelScale:
        return self.config.mel

    @torch.no_grad()
    def forward(
        self, mel: Tensor, *, generator: torch.Generator | None = None, past: Tensor | None = None
    ) -> Tensor:
        """Mel [B, F, N] in [0, 1] → samples [B, T] float32 in [-1, 1], T = hop * N.

        All clips start from the same phases, so that a clip does not depend on the batch it is in. A value of
        0 is silence, not the scale's smallest magnitude. past [B, hop * n]: the sound of the first n frames,
        whose phases are kept, so that what follows goes on from them.
        Raises ValueError for another number of bands.
        """
        if mel.ndim != 3 or mel.shape[1] != self.scale.n_mels:
            raise ValueError(f"needs a mel [B, {self.scale.n_mels}, N], not {list(mel.shape)}")
        length = self.scale.hop * mel.shape[-1]
        # A second frame where there is one alone: the mirror needs more sound than half a window.
        values = F.pad(mel.float(), (0, max(0, 2 - mel.shape[-1]))).transpose(1, 2)
        bands = torch.where(values > 0, magnitudes(values, self.scale), 0.0)
        wanted = self._bins(bands)  # [B, N, bins]
        frames = _Frames(self.scale, wanted.shape[1], self.window)
        spectrum = wanted * self._start(wanted, generator)
        known = self._known(past, wanted.shape[1])  # [B, n', bins], of length 1
        spectrum[:, : known.shape[1]] = wanted[:, : known.shape[1]] * known
        previous = torch.zeros_like(spectrum)
        blend = self.config.momentum / (1 + self.config.momentum)
        for _ in range(self.config.iterations):
            samples = frames.join(self._widen(spectrum))
            rebuilt = frames.split(samples)[..., self.first : self.last]
            ahead = torch.sub(rebuilt, previous, alpha=blend)
            spectrum = ahead.mul_(wanted / ahead.abs().clamp_(min=1e-12))
            spectrum[:, : known.shape[1]] = wanted[:, : known.shape[1]] * known
            previous = rebuilt
        samples = frames.join(self._widen(spectrum))[:, :length]
        # Where half a window is less than a hop, nothing is known of the last few samples.
        return F.pad(samples, (0, length - samples.shape[1])).clamp(-1, 1)

    def _bins(self, bands: Tensor) -> Tensor:
        """Band magnitudes [B, N, F] → bin magnitudes [B, N, bins] whose bands come close to them."""
        bins = (bands @ self.inverse.T).clamp_(min=0)
        if self.config.inversion == "pinv":
            return bins
        # Kullback-Leibler steps (Lee, Seung 2001): they weigh a band by its own size, as the logarithm does
        # that the mel is judged by. The start must be positive: a zero would never move again.
        even = bands @ (self.bank / self.bank.sum(1, keepdim=True))
        bins = torch.maximum(bins, 0.01 * even)
        weight = self.bank.sum(0)
        for _ in range(NNLS_STEPS):
            ratio = bands / (bins @ self.bank.T).clamp_(min=1e-12)
            bins.mul_((ratio @ self.bank).div_(weight))
        return bins

    def _start(self, wanted: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            generator = torch.Generator().manual_seed(self.config.seed)
        turns = torch.rand(wanted.shape[1:], generator=generator, device=generator.device)
        return torch.polar(torch.ones_like(turns), 2 * torch.pi * turns).to(wanted.device)

    def _known(self, past: Tensor | None, count: int) -> Tensor:
        """Phases [B, n, bins] of the frames that lie wholly inside the past, as numbers of length 1."""
        half = -(-self.scale.n_fft // 2 // self.scale.hop)
        frames = 0 if past is None else min(past.shape[1] // self.scale.hop - half, count)
        if past is None or frames < 1:
            return torch.zeros(1, 0, self.last - self.first, dtype=torch.complex64, device=self.window.device)
        spectrum = _Frames(self.scale, count, self.window).split(past)[:, :frames, self.first : self.last]
        return torch.polar(torch.ones_like(spectrum.real), spectrum.angle())

    def _widen(self, spectrum: Tensor) -> Tensor:
        return F.pad(spectrum, (self.first, self.scale.n_fft // 2 + 1 - self.last))


class _Frames:
    """Short-time Fourier transform and its least-squares inverse, framed as `audio.mel` does.

    Frame n is centred at sample n * hop; before the first sample the sound is mirrored.
    """

    def __init__(self, scale: MelScale, count: int, window: Tensor) -> None:
        self.n_fft, self.hop, self.half = scale.n_fft, scale.hop, scale.n_fft // 2
        self.count, self.window = count, window
        weight = self._add((window**2).expand(1, count, -1))
        # Where hardly any window reaches (the far end) dividing would blow up rounding noise.
        self.weight = self._fold(weight).clamp_(min=1e-3)

    def split(self, samples: Tensor) -> Tensor:
        """Samples [B, T] → spectrum [B, N, n_fft // 2 + 1] complex."""
        mirrored = F.pad(samples.unsqueeze(1), (self.half, 0), mode="reflect").squeeze(1)
        return torch.fft.rfft(mirrored.unfold(-1, self.n_fft, self.hop) * self.window)

    def join(self, spectrum: Tensor) -> Tensor:
        """Spectrum [B, N, n_fft // 2 + 1] → the samples [B, T] whose `split` is nearest to it."""
        frames = torch.fft.irfft(spectrum, n=self.n_fft).mul_(self.window)
        return self._fold(self._add(frames)).div_(self.weight)

    def _add(self, frames: Tensor) -> Tensor:
        """Overlap and add: [B, N, n_fft] → [B, (N - 1) * hop + n_fft]."""
        parts = -(-self.n_fft // self.hop)
        frames = F.pad(frames, (0, parts * self.hop - self.n_fft))
        batch = frames.shape[0]
        total = frames.new_zeros(batch, self.count + parts - 1, self.hop)
        for i in range(parts):
            total[:, i : i + self.count] += frames[..., i * self.hop : (i + 1) * self.hop]
        return total.reshape(batch, -1)[:, : (self.count - 1) * self.hop + self.n_fft]

    def _fold(self, mirrored: Tensor) -> Tensor:
        """The adjoint of mirroring at the start: what lies before sample 0 is laid over what follows it."""
        samples = mirrored[:, self.half :].clone()
        reach = min(self.half, samples.shape[1] - 1)
        samples[:, 1 : reach + 1] += mirrored[:, self.half - reach : self.half].flip(-1)
        return samples
