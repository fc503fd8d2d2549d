"""The only definition of a mel spectrogram: the originals' chain (SpecVQGAN), in torch, for every scale.

Magnitude STFT (centred, reflected at the start) → Slaney mel bands → floor → log → [0, 1].
Frames whose window would reach past the end of the sound are left out, so that 220500 samples give the
originals' 860 frames. Equal to librosa's chain within 1e-5. One-shots are too short to lose their end:
silence follows them, so that there is a frame for each hop.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.errors import UserError
from melgpt.native.kernels import Bank, find_kernels, transforms
from melgpt.types import Audio, Mel, MelScale

__all__ = ["Mel", "MelScale", "analyse", "frame_count", "magnitudes", "mel_filterbank"]

ONE_SHOT_SECONDS = 0.2
"""Sounds shorter than this are analysed to their end."""
BLOCK = 128
"""Frames that are worked on at a time: 1 MB stays in the cache, and with the process from call to call."""
PARTS = 4
"""Dense parts of the filter bank, which is zero for the most."""
TOLERANCE = 5e-6
"""Rounding that may show in a mel value: half of what may part us from the originals."""
ROUNDING = 1.5
"""Bound for a bin's rounding error in a float32 transform, in units of eps times the norm of the frame."""


def analyse(audio: Audio, scale: MelScale) -> Mel:
    """Sound → mel: samples [B, T] → values [B, F, N] in [0, 1], N = frame_count(T, scale).

    Sounds shorter than ONE_SHOT_SECONDS are padded with silence. Raises UserError for another sampling rate.
    """
    if audio.rate != scale.rate:
        raise UserError(
            f"the sound has {audio.rate} Hz, the mel scale wants {scale.rate} Hz: resample it first"
        )
    samples = audio.samples.detach().to("cpu", torch.float32)
    samples = F.pad(samples, (0, _padded(samples.shape[-1], scale) - samples.shape[-1]))
    values = [_values(clip, scale) for clip in samples]
    together = values[0].unsqueeze(0) if len(values) == 1 else torch.stack(values)
    return Mel(together.to(audio.samples.device), scale)


def _values(samples: Tensor, scale: MelScale) -> Tensor:
    """Samples [T] → values [F, N].

    In float32; a frame with a band so far below its loudest ones that the rounding could show is done again
    in float64.
    """
    kernels = find_kernels() if transforms(scale.n_fft) else None
    if kernels is None:
        magnitudes, norms = _transform(_frames(samples, scale), scale, torch.float32)
        values = _scaled(magnitudes, scale)
        error = _rounding(scale)[:, None] * norms
        doubts = ((error > _visible(scale) * magnitudes) & (magnitudes + error > scale.floor)).any(0)
    else:
        values, doubts = kernels.mel(samples, *_tables_of_kernels(scale))
    if doubts.any():
        exact, _ = _transform(_frames(samples, scale)[doubts], scale, torch.float64)
        values[:, doubts] = _scaled(exact, scale)
    return values


def _frames(samples: Tensor, scale: MelScale) -> Tensor:
    """Samples [T] → frames [N, n_fft], centred, mirrored before the beginning."""
    half = scale.n_fft // 2
    return torch.cat([samples[1 : half + 1].flip(0), samples]).unfold(-1, scale.n_fft, scale.hop)


def _scaled(magnitudes: Tensor, scale: MelScale) -> Tensor:
    """Magnitudes of the filter bank → values in [0, 1]."""
    log = magnitudes.clamp(min=scale.floor).log_().mul_(_factor(scale))
    return log.sub_(scale.low / (scale.high - scale.low)).clamp_(0, 1)


def _factor(scale: MelScale) -> float:
    """What a step of 1 in the natural logarithm is in values."""
    return scale.gain(20 / math.log(10))


def _rounding(scale: MelScale) -> Tensor:
    """Bound [F] of the error in a band's magnitude in float32, in units of the norm of the windowed frame."""
    return ROUNDING * torch.finfo(torch.float32).eps * mel_filterbank(scale).sum(1)


def _visible(scale: MelScale) -> float:
    """Share of a magnitude that shows in its value."""
    return TOLERANCE / _factor(scale)


def _transform(frames: Tensor, scale: MelScale, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Magnitudes of the filter bank [F, N] and the norms [N] of the windowed frames [N, n_fft].

    Block by block, in memory that stays in the processor's cache.
    """
    window, (low, high), parts = _tables(scale)
    window = window.to(dtype)
    bands, norms = torch.empty(scale.n_mels, len(frames)), torch.empty(len(frames), dtype=dtype)
    windowed = torch.empty(min(BLOCK, len(frames)), scale.n_fft, dtype=dtype)
    spectrum = torch.empty(len(windowed), scale.n_fft // 2 + 1, dtype=dtype.to_complex())
    for first in range(0, len(frames), BLOCK):
        block = slice(first, min(first + BLOCK, len(frames)))
        count = block.stop - first
        torch.mul(frames[block], window, out=windowed[:count])
        torch.linalg.vector_norm(windowed[:count], dim=1, out=norms[block])
        torch.fft.rfft(windowed[:count], out=spectrum[:count])
        # numpy's magnitude is four times as fast as torch's.
        magnitudes = torch.from_numpy(np.abs(spectrum[:count, low:high].numpy())).float()
        for rows, columns, weights in parts:
            torch.mm(weights, magnitudes[:, columns].T, out=bands[rows, block])
    return bands, norms


def frame_count(samples: int, scale: MelScale) -> int:
    """Number of mel frames N that `analyse` makes of so many samples."""
    return 1 + (_padded(samples, scale) - scale.n_fft // 2) // scale.hop


def _padded(samples: int, scale: MelScale) -> int:
    """Samples of a sound with the silence that follows a short one: the last hop's window ends with it."""
    half = scale.n_fft // 2
    if samples < ONE_SHOT_SECONDS * scale.rate:
        samples = max(samples, half + (-(-samples // scale.hop) - 1) * scale.hop)
    # The mirror at the beginning takes half a window, and the sample that it mirrors at.
    return max(samples, half + 1)


def magnitudes(values: Tensor, scale: MelScale) -> Tensor:
    """Mel values [..., F, N] in [0, 1] back to the magnitudes of the filter bank; 0 stays the floor."""
    log = values * (scale.high - scale.low) + scale.low
    return 10**log if scale.log == "log10" else log.exp()


@lru_cache(maxsize=8)
def mel_filterbank(scale: MelScale) -> Tensor:
    """Triangular filters [F, n_fft // 2 + 1]: librosa's default ones, or for `htk` torchaudio's."""
    to_mel, to_hz = (_hz_to_mel, _mel_to_hz) if scale.filters == "slaney" else (_hz_to_htk, _htk_to_hz)
    edges = to_hz(
        torch.linspace(to_mel(scale.f_min), to_mel(scale.f_max), scale.n_mels + 2, dtype=torch.float64)
    )
    bins = torch.arange(scale.n_fft // 2 + 1, dtype=torch.float64) * scale.rate / scale.n_fft
    widths = edges.diff()
    ramps = edges[:, None] - bins[None, :]
    rising = -ramps[:-2] / widths[:-1, None]
    falling = ramps[2:] / widths[1:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    if scale.filters == "htk":
        return triangles.float()
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).float()


@lru_cache(maxsize=8)
def _tables(scale: MelScale) -> tuple[Tensor, tuple[int, int], list[tuple[slice, slice, Tensor]]]:
    """The window [n_fft]; the bins that any filter touches, first and end; the filter bank in dense parts.

    Neighbouring filters touch few bins: a part has its bands, its bins counted from the first used one, and
    weights [bands, bins].
    """
    bank = mel_filterbank(scale)
    low, high = _touched(bank)
    parts = []
    for rows in np.array_split(np.arange(scale.n_mels), min(PARTS, scale.n_mels)):
        first, end = _touched(bank[rows])
        weights = bank[rows, first:end].contiguous()
        parts.append((slice(rows[0], rows[-1] + 1), slice(first - low, end - low), weights))
    return torch.hann_window(scale.n_fft, periodic=True, dtype=torch.float64), (low, high), parts


@lru_cache(maxsize=8)
def _tables_of_kernels(scale: MelScale) -> tuple[Tensor, int, Bank]:
    """The window, the hop and the bank, as the kernels want them."""
    offset = -scale.low / (scale.high - scale.low)
    levels = scale.floor, _factor(scale), offset, _visible(scale)
    return _tables(scale)[0].float(), scale.hop, Bank(mel_filterbank(scale), _rounding(scale), levels)


def _touched(bank: Tensor) -> tuple[int, int]:
    bins = bank.sum(0).nonzero().flatten()
    return int(bins[0]), int(bins[-1]) + 1


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


# HTK's scale (Young et al., The HTK Book).
_HTK_HZ, _HTK_MEL = 700.0, 2595.0


def _hz_to_htk(hz: float) -> float:
    return _HTK_MEL * math.log10(1 + hz / _HTK_HZ)


def _htk_to_hz(mel: Tensor) -> Tensor:
    return _HTK_HZ * (10 ** (mel / _HTK_MEL) - 1)
