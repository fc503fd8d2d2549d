"""How far two sounds are apart in their spectra (Yamamoto et al. 2020, https://arxiv.org/abs/1910.11480).

At several resolutions: spectral convergence (Arik et al. 2018, https://arxiv.org/abs/1808.06719), which hears
the loud parts, plus the L1 distance of log magnitudes, which hears the soft ones.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.audio.mel import mel_filterbank
from melgpt.types import MelScale

RESOLUTIONS = (512, 1024, 2048)
"""Lengths of the Hann windows and of the Fourier transforms, in samples; the hop is a quarter of each."""
FLOOR = 1e-3
"""Smallest magnitude that is told apart from silence: a sine of that is at -108 dB in a window of 1024."""
LEVEL_SECONDS = 0.004
"""Steps of levels: finer than a mel frame, so that they tell what a vocoder adds."""
SOFTEST = 1e-9
"""Smallest level: the logarithm and the root of less have no use."""
Band = tuple[float, float]


def spectral_distance(made: Tensor, real: Tensor, rate: int, *, band: Band | None = None) -> Tensor:
    """Samples [B, T] and [B, T] at `rate` Hz → distance [B], the mean over the resolutions; 0 for equal ones.

    band: only frequencies from .. to, in Hz. Differentiable in `made`.
    """
    return spectral_distances(made, real, rate, (band,))[0]


def spectral_distances(made: Tensor, real: Tensor, rate: int, bands: tuple[Band | None, ...]) -> Tensor:
    """The same in several bands (None: all frequencies), [bands, B]."""
    of_resolution = []
    for n_fft in RESOLUTIONS:
        both = magnitudes_of(made, n_fft), magnitudes_of(real, n_fft)
        slices = (slice(None) if band is None else bins_of(band, n_fft, rate) for band in bands)
        of_resolution.append(torch.stack([_distance(*(sound[:, bins] for sound in both)) for bins in slices]))
    return torch.stack(of_resolution).mean(0)


def level_distance(made: Tensor, real: Tensor, rate: int) -> Tensor:
    """Samples [B, T] and [B, T] → relative error [B] of the levels over time, 0 for equal ones.

    Finer in time than the windows above, as ears are. Differentiable in `made`.
    """
    one, other = level(made, rate), level(real, rate)
    error, size = (torch.linalg.vector_norm(part, dim=1) for part in (one - other, other))
    return error / size.clamp(min=FLOOR)


def level(samples: Tensor, rate: int) -> Tensor:
    """Samples [B, T] → root mean square of each step of 4 ms [B, steps], at least SOFTEST."""
    step = round(LEVEL_SECONDS * rate)
    steps = samples.shape[-1] // step
    power = samples[..., : steps * step].float().unflatten(-1, (steps, step)).square().mean(-1)
    # Of the squares: the root has no gradient at 0.
    return power.clamp(min=SOFTEST**2).sqrt()


def magnitudes_of(samples: Tensor, n_fft: int) -> Tensor:
    """Samples [B, T] → magnitudes [B, n_fft // 2 + 1, frames], at least FLOOR."""
    window = torch.hann_window(n_fft, device=samples.device)
    samples = F.pad(samples.float(), (n_fft // 2, n_fft // 2))
    spectrum = torch.stft(samples, n_fft, n_fft // 4, window=window, center=False, return_complex=True)
    # Of the squares: the root has no gradient where a bin is empty.
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=FLOOR**2).sqrt()


def bins_of(band: Band, n_fft: int, rate: int) -> slice:
    """The bins of a transform whose frequencies lie in a band."""
    return slice(math.ceil(band[0] * n_fft / rate), math.floor(band[1] * n_fft / rate) + 1)


def _distance(made: Tensor, real: Tensor) -> Tensor:
    """Spectral convergence + L1 of the logarithms of magnitudes [B, bins, frames]."""
    error, size = (torch.linalg.vector_norm(part, dim=(1, 2)) for part in (made - real, real))
    return error / size + (made.log() - real.log()).abs().mean((1, 2))


class MelLoss(nn.Module):
    """L1 distance of two sounds in the mel that the scale describes, in units of the [0, 1] mel.

    The same mel as `audio.mel.analyse`, in float32, with gradients and without care for rounding.
    """

    bank: Tensor
    window: Tensor

    def __init__(self, scale: MelScale) -> None:
        super().__init__()
        self.scale = scale
        # A copy: the kept one may have been made where no gradients are.
        self.register_buffer("bank", mel_filterbank(scale).clone(), persistent=False)
        self.register_buffer("window", torch.hann_window(scale.n_fft), persistent=False)

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """Samples [B, T] and [B, T] → distance [B]."""
        return (self.mel(made) - self.mel(real)).abs().mean((1, 2))

    def mel(self, samples: Tensor) -> Tensor:
        """Samples [B, T] → values [B, F, N] in [0, 1]; only frames that lie wholly within the samples."""
        scale = self.scale
        spectrum = torch.stft(
            samples.float(), scale.n_fft, scale.hop, window=self.window, center=False, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        bands = (self.bank @ power.clamp(min=1e-14).sqrt()).clamp(min=scale.floor)
        log = bands.log10() if scale.log == "log10" else bands.log()
        return ((log - scale.low) / (scale.high - scale.low)).clamp(0, 1)
