"""The only definition of a mel spectrogram: the originals' chain (SpecVQGAN), in torch, for every scale.

Magnitude STFT (centred, reflected at the start) → Slaney mel bands → floor → log → [0, 1].
Frames whose window would reach past the end of the sound are left out, so that 220500 samples give the
originals' 860 frames. Equal to librosa's chain within 1e-5.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.errors import UserError
from melgpt.types import Audio, Mel, MelScale

__all__ = ["Mel", "MelScale", "analyse", "frame_count", "magnitudes", "mel_filterbank"]


def analyse(audio: Audio, scale: MelScale) -> Mel:
    """Sound → mel: samples [B, T] → values [B, F, N] in [0, 1], N = frame_count(T, scale).

    Sounds shorter than half a window are padded with silence. Raises UserError for another sampling rate.
    """
    if audio.rate != scale.rate:
        raise UserError(
            f"the sound has {audio.rate} Hz, the mel scale wants {scale.rate} Hz: resample it first"
        )
    samples = audio.samples.float()
    half = scale.n_fft // 2
    samples = F.pad(samples, (0, max(0, half + 1 - samples.shape[-1])))
    padded = F.pad(samples.unsqueeze(1), (half, 0), mode="reflect").squeeze(1)
    frames = padded.unfold(-1, scale.n_fft, scale.hop)  # [B, N, n_fft]
    bank = mel_filterbank(scale).to(samples.device)
    first, last = _used_bins(scale)
    # In float64 as the originals: float32 rounding shows (8e-5) in the quiet bands beside a loud tone.
    windowed = frames * _window(scale.n_fft).to(samples.device)
    spectrum = torch.fft.rfft(windowed)[..., first:last].abs().float()
    mel = (spectrum @ bank[:, first:last].T).clamp_(min=scale.floor)
    log = mel.log10_() if scale.log == "log10" else mel.log_()
    values = log.sub_(scale.low).div_(scale.high - scale.low).clamp_(0, 1)
    return Mel(values.transpose(1, 2).contiguous(), scale)


def frame_count(samples: int, scale: MelScale) -> int:
    """Number of mel frames N that `analyse` makes of so many samples."""
    half = scale.n_fft // 2
    return 1 + (max(samples, half + 1) - half) // scale.hop


def magnitudes(values: Tensor, scale: MelScale) -> Tensor:
    """Mel values [..., F, N] in [0, 1] back to the magnitudes of the filter bank; 0 stays the floor."""
    log = values * (scale.high - scale.low) + scale.low
    return 10**log if scale.log == "log10" else log.exp()


@lru_cache(maxsize=8)
def mel_filterbank(scale: MelScale) -> Tensor:
    """Triangular filters [F, n_fft // 2 + 1], Slaney mel scale and area normalisation (librosa's default)."""
    edges = _mel_to_hz(
        torch.linspace(
            _hz_to_mel(scale.f_min), _hz_to_mel(scale.f_max), scale.n_mels + 2, dtype=torch.float64
        )
    )
    bins = torch.arange(scale.n_fft // 2 + 1, dtype=torch.float64) * scale.rate / scale.n_fft
    widths = edges.diff()
    ramps = edges[:, None] - bins[None, :]
    rising = -ramps[:-2] / widths[:-1, None]
    falling = ramps[2:] / widths[1:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).float()


@lru_cache(maxsize=8)
def _used_bins(scale: MelScale) -> tuple[int, int]:
    """The frequency bins that any filter touches: two thirds of them at the originals' scale."""
    used = mel_filterbank(scale).sum(0).nonzero().flatten()
    return int(used[0]), int(used[-1]) + 1


@lru_cache(maxsize=8)
def _window(length: int) -> Tensor:
    return torch.hann_window(length, periodic=True, dtype=torch.float64)


# Slaney's scale: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998).
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    return hz / _HZ_PER_MEL if hz < _BREAK_HZ else _BREAK_MEL + math.log(hz / _BREAK_HZ) / _LOG_STEP


def _mel_to_hz(mel: Tensor) -> Tensor:
    logarithmic = _BREAK_HZ * torch.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return torch.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, logarithmic)
