"""Near duplicates: the same recording again, louder, shifted, with a little noise or re-encoded.

Two steps, so that 200 000 clips are feasible: a short signature of each clip that does not change with gain
and time picks candidates (k-d tree); the correlation of the mels at the best shift decides. Different
recordings of noise have alike signatures, but their fluctuations are independent and do not correlate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter1d
from scipy.spatial import cKDTree

from melgpt.types import MelScale

RANGE_DB = 40.0
"""Only what is less than this below the loudest spots counts: noise and codecs change what is below."""
LOUDEST = 32
COEFFICIENTS = 12
SIGNATURE = 2 * COEFFICIENTS
RADIUS = 0.25
NEIGHBOURS = 32
CANDIDATES = 16
SMOOTH = 2
"""Frames and bands that are averaged: less noise of the single frame, fewer bands to correlate."""
TREND_SECONDS = 0.35
"""Slower changes do not count: the smooth decays of two bangs are alike, their grain is not."""
REMEMBERED = 512
"""Clips that stay ready for comparison: 0.3 MB each at 10 s. Alike clips are compared with many others."""
CHUNK = 1024
OVERLAP = 0.25
"""Least overlap in time, as a share of the shorter clip."""
OVERLAP_LOUDNESS = 0.6
"""Least share of the loudness of one of the clips inside the overlap."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """Two clips a < b, by row, and the correlation of their mels."""

    a: int
    b: int
    similarity: float


def signature(mel: NDArray[np.float16], scale: MelScale) -> Array:
    """[N, F] → [SIGNATURE]: the smoothed spectral envelopes of mean and mean square, each of length 1.

    Sums over time, so shifts and added silence do not change them; smoothed by keeping low cosine terms.
    """
    loud = _loudness(mel, scale)
    parts = []
    for envelope in (loud.sum(0), np.square(loud).sum(0)):
        cosine = fft.dct(envelope / max(float(np.linalg.norm(envelope)), 1e-9), norm="ortho")
        parts.append(np.pad(cosine, (0, COEFFICIENTS))[:COEFFICIENTS])
    return np.concatenate(parts).astype(np.float32)


def candidates(signatures: Array, files: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Pairs [P, 2] of rows a < b with near signatures [clips, SIGNATURE], not of one file; chunk by chunk."""
    tree = cKDTree(signatures)
    neighbours = min(NEIGHBOURS + 1, len(signatures))
    for start in range(0, len(signatures), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(signatures)))
        _, found = tree.query(signatures[rows], k=neighbours, distance_upper_bound=RADIUS, workers=-1)
        found = found.reshape(len(rows), -1)
        inside = np.append(files, -1)  # the tree answers "none" with the number of clips
        good = (found < len(signatures)) & (inside[found] != files[rows][:, None])
        good &= np.cumsum(good, axis=1) <= CANDIDATES
        pairs = np.stack(np.broadcast_arrays(rows[:, None], found), -1)[good]
        yield np.unique(np.sort(pairs, axis=1), axis=0)


def similarity(first: NDArray[np.float16], second: NDArray[np.float16], scale: MelScale) -> float:
    """Correlation in [-1, 1] of two mels [N, F] at the shift where it is highest; see the module."""
    return _correlate(_prepared(first, scale), _prepared(second, scale))


def verified(
    pairs: NDArray[np.int64], mel: Callable[[int], NDArray[np.float16]], scale: MelScale, least: float
) -> Iterator[Pair]:
    """Those of the candidate pairs [P, 2] whose similarity is at least `least`; `mel(row)` gives [N, F]."""
    remembered = lru_cache(maxsize=REMEMBERED)(lambda row: _prepared(mel(row), scale))
    for a, b in pairs.tolist():
        score = _correlate(remembered(a), remembered(b))
        if score >= least:
            yield Pair(a, b, score)


def _loudness(mel: NDArray[np.float16], scale: MelScale) -> Array:
    """[N, F] → [N, F / SMOOTH]: 1 at the loudest spots, 0 from RANGE_DB below them on; no gain left."""
    bands = mel.shape[1] // SMOOTH * SMOOTH
    pooled = mel[:, :bands].astype(np.float32).reshape(len(mel), -1, SMOOTH).mean(2)
    # Not fewer frames: between two grids of frames a shift of half a step would not be found.
    smooth = uniform_filter1d(pooled, SMOOTH, axis=0, mode="nearest")
    most = min(LOUDEST, smooth.size)
    top = float(np.partition(smooth, smooth.size - most, axis=None)[-most:].mean())
    return np.maximum((smooth - top) / scale.gain(RANGE_DB) + 1, 0).astype(np.float32)


@dataclass(frozen=True)
class _Prepared:
    """A mel ready for correlation: values [N, F] and running sums over time."""

    values: NDArray[np.float64]
    sums: NDArray[np.float64]
    """[N + 1, F]"""
    squares: NDArray[np.float64]
    """[N + 1], over all bands."""
    loudness: NDArray[np.float64]
    """[N + 1], over all bands, before the mean of each frame was taken off."""


def _prepared(mel: NDArray[np.float16], scale: MelScale) -> _Prepared:
    values = _loudness(mel, scale).astype(np.float64)
    means = values.mean(axis=1)
    values -= means[:, None]  # how loud a frame is must not correlate: every bang is silence, loud, silence
    values -= uniform_filter1d(values, round(TREND_SECONDS * scale.frames_per_second), axis=0, mode="nearest")
    sums = np.pad(np.cumsum(values, axis=0), ((1, 0), (0, 0)))
    squares = np.pad(np.cumsum(np.square(values).sum(1)), (1, 0))
    return _Prepared(values, sums, squares, np.pad(np.cumsum(means), (1, 0)))


def _correlate(a: _Prepared, b: _Prepared) -> float:
    n, m = len(a.values), len(b.values)
    shifts = np.arange(-(m - 1), n)
    begin_a, end_a = np.maximum(shifts, 0), np.minimum(n, m + shifts)
    begin_b, end_b = np.maximum(-shifts, 0), np.minimum(m, n - shifts)
    overlap = end_a - begin_a
    size = fft.next_fast_len(n + m - 1, real=True)
    spectra = (fft.rfft(a.values, size, axis=0) * np.conj(fft.rfft(b.values, size, axis=0))).sum(1)
    products = fft.irfft(spectra, size)[shifts]  # negative shifts lie at the end
    sum_a = a.sums[end_a] - a.sums[begin_a]
    sum_b = b.sums[end_b] - b.sums[begin_b]
    # Less the mean of each band inside the overlap: the timbre must not correlate, only what happens.
    covariance = products - (sum_a * sum_b).sum(1) / overlap
    energy_a = a.squares[end_a] - a.squares[begin_a] - np.square(sum_a).sum(1) / overlap
    energy_b = b.squares[end_b] - b.squares[begin_b] - np.square(sum_b).sum(1) / overlap
    share_a = (a.loudness[end_a] - a.loudness[begin_a]) / max(a.loudness[-1], 1e-9)
    share_b = (b.loudness[end_b] - b.loudness[begin_b]) / max(b.loudness[-1], 1e-9)
    good = (overlap >= OVERLAP * min(n, m)) & (np.maximum(share_a, share_b) >= OVERLAP_LOUDNESS)
    good &= (energy_a > 1e-6) & (energy_b > 1e-6)
    if not good.any():
        return 0.0
    return float((covariance[good] / np.sqrt(energy_a[good] * energy_b[good])).max())
