"""Near duplicates: the same recording again, louder, shifted, with a little noise or re-encoded.

Two steps, so that 200 000 clips are feasible: a short signature of each clip that does not change with gain
and time picks candidates (k-d tree); the correlation of the mels at the best shift decides. Different
recordings of noise have alike signatures, but their fluctuations are independent and do not correlate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
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
TREND_SECONDS = 0.35
"""Slower changes do not count: the smooth decays of two bangs are alike, their grain is not."""
REMEMBERED = 512
"""Clips that stay ready for comparison: 0.5 MB each at 10 s. Alike clips are compared with many others."""
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
    size = _transform_size(max(len(first), len(second)))
    return _correlate(_prepared(first, size, scale), _prepared(second, size, scale), -1.0)


def verified(
    pairs: NDArray[np.int64], mel: Callable[[int], NDArray[np.float16]], scale: MelScale, least: float
) -> Iterator[Pair]:
    """Those of the candidate pairs [P, 2] whose similarity is at least `least`; `mel(row)` gives [N, F]."""
    remembered = lru_cache(maxsize=REMEMBERED)(lambda row, size: _prepared(mel(row), size, scale))
    for a, b in pairs.tolist():
        size = _transform_size(max(len(mel(a)), len(mel(b))))
        score = _correlate(remembered(a, size), remembered(b, size), least)
        if score >= least:
            yield Pair(a, b, score)


def _loudness(mel: NDArray[np.float16], scale: MelScale) -> Array:
    """[N, F] → [N, F / 2]: 1 at the loudest spots, 0 from RANGE_DB below them on; no gain left.

    Bands are averaged in pairs, and each frame with the one before it: less noise of the single frame. Not
    fewer frames: between two grids of frames a shift of half a step would not be found.
    """
    values = mel[:, : mel.shape[1] // 2 * 2].astype(np.float32)
    pooled = values[:, ::2] + values[:, 1::2]
    smooth = 0.25 * (pooled + pooled[np.maximum(np.arange(len(pooled)) - 1, 0)])
    most = min(LOUDEST, smooth.size)
    top = float(np.partition(smooth, smooth.size - most, axis=None)[-most:].mean())
    return np.maximum((smooth - top) / scale.gain(RANGE_DB) + 1, 0).astype(np.float32)


@dataclass(frozen=True)
class _Prepared:
    """A mel ready for correlation. The sums run over time; a sum of no frames comes first."""

    spectrum: NDArray[np.complex64]
    """Of the values over time, [size // 2 + 1, F]."""
    sums: Array
    """[N + 1, F]"""
    norms: Array
    """Of the sums over the bands, [N + 1]."""
    squares: NDArray[np.float64]
    """[N + 1], over all bands."""
    loudness: NDArray[np.float64]
    """[N + 1], over all bands, before the mean of each frame was taken off; 1 at the end."""


def _prepared(mel: NDArray[np.float16], size: int, scale: MelScale) -> _Prepared:
    """For correlation by transforms of `size` frames."""
    values = _loudness(mel, scale)
    means = values.mean(axis=1)
    values -= means[:, None]  # how loud a frame is must not correlate: every bang is silence, loud, silence
    values -= uniform_filter1d(values, round(TREND_SECONDS * scale.frames_per_second), axis=0, mode="nearest")
    sums = np.pad(np.cumsum(values, axis=0, dtype=np.float64), ((1, 0), (0, 0))).astype(np.float32)
    squares = np.pad(np.cumsum(np.square(values).sum(1), dtype=np.float64), (1, 0))
    loudness = np.pad(np.cumsum(means, dtype=np.float64), (1, 0))
    return _Prepared(
        fft.rfft(values, size, axis=0),
        sums,
        np.linalg.norm(sums, axis=1),
        squares,
        loudness / max(loudness[-1], 1e-9),
    )


def _transform_size(frames: int) -> int:
    """Room for two clips of so many frames one behind the other; few sizes, so that transforms are shared."""
    power = 1 << (2 * frames - 1).bit_length()
    return power // 4 * 3 if power // 4 * 3 >= 2 * frames else power


@dataclass(frozen=True)
class _Overlaps:
    """Every shift of two clips a and b that leaves enough overlap [shifts], and what overlaps of each."""

    shift: NDArray[np.int64]
    begin_a: NDArray[np.int64]
    end_a: NDArray[np.int64]
    begin_b: NDArray[np.int64]
    end_b: NDArray[np.int64]

    @property
    def frames(self) -> NDArray[np.int64]:
        return self.end_a - self.begin_a

    def where(self, chosen: NDArray[np.bool_]) -> "_Overlaps":
        return _Overlaps(*(getattr(self, field.name)[chosen] for field in fields(self)))


@lru_cache(maxsize=64)
def _overlaps(n: int, m: int) -> _Overlaps:
    shift = np.arange(-(m - 1), n)
    every = _Overlaps(
        shift, np.maximum(shift, 0), np.minimum(n, m + shift), np.maximum(-shift, 0), np.minimum(m, n - shift)
    )
    return every.where(every.frames >= OVERLAP * min(n, m))


def _correlate(a: _Prepared, b: _Prepared, least: float) -> float:
    """Highest correlation; any value below `least` where it is below that."""
    at = _overlaps(len(a.squares) - 1, len(b.squares) - 1)
    spectrum = (b.spectrum.conj()[:, None] @ a.spectrum[:, :, None]).ravel()
    products = fft.irfft(spectrum, 2 * len(a.spectrum) - 2)[at.shift]  # negative shifts lie at the end
    energy_a = a.squares[at.end_a] - a.squares[at.begin_a]
    energy_b = b.squares[at.end_b] - b.squares[at.begin_b]
    share_a = a.loudness[at.end_a] - a.loudness[at.begin_a]
    share_b = b.loudness[at.end_b] - b.loudness[at.begin_b]
    # What the means of the bands, below, can change at most: most pairs need no more than this.
    most_a = np.square(a.norms[at.end_a] + a.norms[at.begin_a]) / at.frames
    most_b = np.square(b.norms[at.end_b] + b.norms[at.begin_b]) / at.frames
    energy = np.sqrt(np.maximum(energy_a - most_a, 0) * np.maximum(energy_b - most_b, 0))
    good = (products + np.sqrt(most_a * most_b) >= least * energy) & (
        np.maximum(share_a, share_b) >= OVERLAP_LOUDNESS
    )
    if not good.any():
        return -1.0
    at, products, energy_a, energy_b = at.where(good), products[good], energy_a[good], energy_b[good]
    sum_a = a.sums[at.end_a] - a.sums[at.begin_a]
    sum_b = b.sums[at.end_b] - b.sums[at.begin_b]
    # Less the mean of each band inside the overlap: the timbre must not correlate, only what happens.
    covariance = products - (sum_a * sum_b).sum(1) / at.frames
    energy_a -= np.square(sum_a).sum(1) / at.frames
    energy_b -= np.square(sum_b).sum(1) / at.frames
    alive = (energy_a > 1e-6) & (energy_b > 1e-6)
    if not alive.any():
        return 0.0
    return float((covariance[alive] / np.sqrt(energy_a[alive] * energy_b[alive])).max())
