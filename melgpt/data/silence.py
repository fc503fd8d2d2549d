"""Where a sound is loud to the ear: without a constant offset, and without what lies below 20 Hz.

An offset or a rumble lies above any threshold of silence, and yet nothing is heard.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from melgpt.types import Audio

Samples = NDArray[np.float32]
Bins = NDArray[np.float64]

_BINS_PER_SECOND = 1000
"""What lies below 20 Hz is found from means over a millisecond."""
_TAPS = 181
_CUTOFF_HZ = 30.0
"""The low-pass filter keeps what lies below 20 Hz and takes away what lies above 40 Hz, both by 60 dB."""
_KAISER = 5.65
"""Shape of the filter's window."""
_REACH = _TAPS // 2
"""Bins that the filter sees on each side."""
_EDGE = 300
"""Bins at the beginning or end of a sound, where the filter lacks one side and sines are fitted instead."""
_HIGHEST_HZ, _STEP_HZ = 21.0, 1.5
_SINGULAR = 1e-3
_SHORT_SECONDS, _BLUR_BINS = 0.005, 10
"""The filter blurs the beginning of a sound by up to 50 ms; it is found again to 5 ms."""


@dataclass(frozen=True)
class Stretch:
    """A part of a sound with what lies around it; samples [T], [T'], [T''] at `rate` Hz."""

    samples: Samples
    rate: int
    before: Samples
    """Empty where the sound begins here."""
    after: Samples
    """Empty where the sound ends here."""

    def reversed(self) -> "Stretch":
        """The same backwards."""
        return Stretch(self.samples[::-1], self.rate, self.after[::-1], self.before[::-1])


def stretches(blocks: Iterator[Audio]) -> Iterator[tuple[Audio, Stretch]]:
    """Each block [1, T] of a sound with what lies around it, one block later than it comes."""
    nothing = np.zeros(0, np.float32)
    before, current = nothing, next(blocks, None)
    while current is not None:
        following = next(blocks, None)
        samples = current.samples[0].numpy()
        after = nothing if following is None else following.samples[0].numpy()
        yield current, Stretch(samples, current.rate, before, after)
        before, current = samples, following


def loud_span(stretch: Stretch, least: float) -> tuple[int, int] | None:
    """The first sample whose magnitude is at least `least`, and the one behind the last; None without any."""
    first, last = _first(stretch, least), _first(stretch.reversed(), least)
    return None if first is None or last is None else (first, len(stretch.samples) - last)


def is_loud(samples: Samples, rate: int, least: float) -> bool:
    """Whether a clip, samples [T], has a magnitude of at least `least`."""
    return _first(Stretch(samples, rate, samples[:0], samples[:0]), least) is not None


def peak_db(samples: Samples, rate: int) -> float:
    """Highest magnitude of a clip [T] in dB of full scale; -inf for digital silence."""
    stretch = Stretch(samples, rate, samples[:0], samples[:0])
    peak = float(_magnitudes(stretch, 0, len(samples), 0.0).max(initial=0.0))
    return 20 * float(np.log10(peak)) if peak > 0 else -np.inf


def _first(stretch: Stretch, least: float) -> int | None:
    step = max(1, stretch.rate // 2)
    for start in range(0, len(stretch.samples), step):
        loud = np.abs(stretch.samples[start : start + step]) >= least
        if not loud.any():
            continue
        place = start + int(loud.argmax())
        if _begins_at(stretch, place, least):
            return place
        loud = _magnitudes(stretch, start, start + step, least) >= least
        if loud.any():
            return _sharpened(stretch, start + int(loud.argmax()), least)
    return None


def _begins_at(stretch: Stretch, place: int, least: float) -> bool:
    """Whether a sound plainly begins here: nothing lies before it, and no rumble moves like it."""
    size = max(4, round(_SHORT_SECONDS * stretch.rate))
    part, before = stretch.samples[place : place + size], stretch.samples[max(0, place - size) : place]
    if len(part) < size or np.abs(before).max(initial=0.0) >= least:
        return False
    return bool(np.abs(_less_a_parabola(part)).max() >= least)


def _less_a_parabola(part: Samples) -> Samples:
    basis = _parabolas(len(part))
    rest: Samples = part - basis @ (basis.T @ part)
    return rest


@lru_cache(maxsize=8)
def _parabolas(size: int) -> Samples:
    """An orthonormal basis [size, 3] of the parabolas."""
    basis: Samples = np.linalg.qr(np.vander(np.linspace(-1, 1, size), 3))[0].astype(np.float32)
    return basis


def _sharpened(stretch: Stretch, place: int, least: float) -> int:
    """Where a sound begins, from where it seems to begin: an offset or a rumble under it blurs that.

    What moves within 5 ms by more than a parabola is sound, and no rumble.
    """
    size = max(4, round(_SHORT_SECONDS * stretch.rate))
    before = stretch.samples[max(0, place - size) : place]
    if np.abs(before).max(initial=0.0) < least:
        return place  # nothing lies under it
    for start in range(place, place + _BLUR_BINS * size, size):
        part = stretch.samples[start : start + size]
        if len(part) < size:
            break
        if np.abs(_less_a_parabola(part)).max() >= least:
            return start
    return place


def _magnitudes(stretch: Stretch, start: int, end: int, least: float) -> Samples:
    """Magnitudes of the samples from `start` to `end`, exact where they reach `least`.

    The smallest of three: as they are, without their mean, and without what lies below 20 Hz. The mean keeps
    the moment at which a sound begins, which the filter blurs by some 25 ms.
    """
    part = stretch.samples[start:end]
    found = np.abs(part)
    if not len(part) or found.max() < least:
        return found
    found = np.minimum(found, np.abs(part - stretch.samples.mean(dtype=np.float64).astype(np.float32)))
    if found.max(initial=0.0) < least:
        return found
    return np.minimum(found, np.abs(part - _baseline(stretch, start, start + len(part))))


def _baseline(stretch: Stretch, start: int, end: int) -> Samples:
    """What lies below 20 Hz, of the samples from `start` to `end`; 0 where the sound is too short to tell."""
    size = max(1, round(stretch.rate / _BINS_PER_SECOND))
    context = (_REACH + _EDGE + 1) * size
    around = np.concatenate(
        [
            stretch.before[max(0, len(stretch.before) + start - context) :],
            stretch.samples[max(0, start - context) : end + context],
            stretch.after[: max(0, end + context - len(stretch.samples))],
        ]
    )
    offset = min(start + len(stretch.before), context)
    count = len(around) // size
    if count < _EDGE:
        return np.zeros(end - start, np.float32)
    means = around[: count * size].reshape(count, size).mean(1, dtype=np.float64)
    smooth = np.convolve(np.pad(means, _REACH, mode="edge"), _low_pass(), "valid")
    if start + len(stretch.before) <= context:
        smooth[:_REACH] = (_edge_fit() @ means[:_EDGE])[:_REACH]
    if len(stretch.samples) + len(stretch.after) - end <= context:
        smooth[-_REACH:] = (_edge_fit() @ means[: -_EDGE - 1 : -1])[:_REACH][::-1]
    # Half a bin is missing before the first middle of a bin, up to one and a half behind the last.
    smooth = np.pad(smooth, (1, 2), mode="reflect", reflect_type="odd")
    places = (np.arange(-1, count + 2) + 0.5) * size - 0.5
    return np.interp(np.arange(offset, offset + end - start), places, smooth).astype(np.float32)


@lru_cache(maxsize=1)
def _low_pass() -> Bins:
    """A sinc under a Kaiser window, of sum 1."""
    cycles = 2 * _CUTOFF_HZ / _BINS_PER_SECOND
    taps: Bins = np.sinc(cycles * (np.arange(_TAPS) - _REACH)) * np.kaiser(_TAPS, _KAISER)
    return taps / taps.sum()


@lru_cache(maxsize=1)
def _edge_fit() -> Bins:
    """The projection [_EDGE, _EDGE] of bins on sines and cosines up to 20 Hz."""
    time = np.arange(_EDGE) / _BINS_PER_SECOND
    angles = 2 * np.pi * np.arange(0, _HIGHEST_HZ, _STEP_HZ) * time[:, None]
    basis = np.concatenate([np.cos(angles), np.sin(angles)[:, 1:]], axis=1)
    left, values, _ = np.linalg.svd(basis, full_matrices=False)
    left = left[:, values > _SINGULAR * values[0]]
    return left @ left.T
