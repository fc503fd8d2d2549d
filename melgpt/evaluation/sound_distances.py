"""How far a made sound is from the real one that it stands for, sample by sample in time.

The two are of one length and begin together, as a vocoder's sound and what its mel was taken from.
"""

import torch
from torch import Tensor

from melgpt.errors import UserError
from melgpt.losses.spectra import LEVEL_SECONDS, Band, level, spectral_distance
from melgpt.types import MelScale

RISE_SECONDS = 0.02
"""Time over which an onset's rise is taken."""
QUIET_DB = -50.0
"""Level below the loudest moment that counts as silence: rises within the noise floor are no onsets."""
ONSET_SHARE = 0.01
"""Share of all moments, the steepest, that count as onsets."""


@torch.no_grad()
def multi_resolution_stft(made: Tensor, real: Tensor, scale: MelScale, band: Band | None = None) -> Tensor:
    """Spectral convergence + L1 of log magnitudes, mean over windows of 512, 1024 and 2048: [B], 0 for equal.

    Samples [B, T] and [B, T]; band: only from .. to, in Hz, such as the scale's own: the rest no mel tells.
    Raises UserError for sounds of different lengths.
    """
    _check(made, real)
    return spectral_distance(made, real, scale.rate, band=band)


@torch.no_grad()
def envelope_correlation(made: Tensor, real: Tensor, scale: MelScale, band: Band | None = None) -> Tensor:
    """Pearson correlation [B] of the levels in steps of 4 ms; samples [B, T]. A constant one gives 0.

    band: only from .. to, in Hz. Raises UserError for sounds of different lengths.
    """
    _check(made, real)
    one, other = (
        level(sound if band is None else _within(sound, scale.rate, band), scale.rate)
        for sound in (made, real)
    )
    one, other = (each - each.mean(-1, keepdim=True) for each in (one, other))
    norm = torch.linalg.vector_norm(one, dim=-1) * torch.linalg.vector_norm(other, dim=-1)
    return (one * other).sum(-1) / norm.clamp(min=1e-12)


@torch.no_grad()
def onset_sharpness(samples: Tensor, scale: MelScale) -> Tensor:
    """How steeply sounds begin: rise of the level in dB within 20 ms, mean of the steepest 1 %, [B].

    samples [B, T]; sounds too short to rise have 0. A made sound should have that of the real one: less is
    smeared, more is cracked.
    """
    decibels = 20 * level(samples, scale.rate).log10()
    quiet = decibels.amax(-1, keepdim=True) + QUIET_DB
    decibels = torch.maximum(decibels, quiet)
    steps = max(1, round(RISE_SECONDS / LEVEL_SECONDS))
    rises = decibels[:, steps:] - decibels[:, :-steps]
    if not rises.shape[-1]:
        return rises.new_zeros(len(rises))
    count = max(1, round(ONSET_SHARE * rises.shape[-1]))
    return rises.topk(min(count, rises.shape[-1]), dim=-1).values.mean(-1).clamp(min=0)


def _within(samples: Tensor, rate: int, band: Band) -> Tensor:
    """What of samples [B, T] lies in a band: all other frequencies of the whole sound are left out."""
    spectrum = torch.fft.rfft(samples)
    hertz = torch.fft.rfftfreq(samples.shape[-1], 1 / rate, device=samples.device)
    return torch.fft.irfft(spectrum * ((band[0] <= hertz) & (hertz <= band[1])), n=samples.shape[-1])


def _check(made: Tensor, real: Tensor) -> None:
    if made.shape != real.shape or made.ndim != 2:
        raise UserError(
            f"needs two sounds [B, T] of one shape, not {list(made.shape)} and {list(real.shape)}"
        )
