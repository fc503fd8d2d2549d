"""Where the energy of one clip lies: shares between given frequencies, from a few of its spectra."""

import math
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

AUDIBLE_HZ = 20.0
"""Below this nothing is heard, and nothing is counted."""
WINDOW_SECONDS = 0.19
WINDOWS = 16
"""Spectra of a longer clip. On ESC-10 and a library of one-shots that is 1 % from the mean of all spectra."""
THINNED = 4
"""Every so many samples tell where the energy lies in time: for that it does not matter what folds."""
GOLDEN = 0.618034

Samples = NDArray[np.float32]
Shares = NDArray[np.float64]


def energy_shares(samples: Samples, rate: int, edges: tuple[float, ...]) -> Shares:
    """Share of the audible energy of samples [T] below, between and above the edges (Hz), [edges + 1].

    All 0 where there is none. A clip that is longer than one window is estimated from WINDOWS of them, drawn
    in proportion to their energy and divided by it (Hansen and Hurwitz 1943): a short loud sound in a long
    clip is met. The places depend on the clip alone.
    """
    size = 1 << round(math.log2(WINDOW_SECONDS * rate))
    frames = _whole(samples, size) if len(samples) <= size else _drawn(samples, size)
    # Real and imaginary parts in turn, so that the sum of squares of a stretch is its energy.
    spectra = torch.view_as_real(torch.fft.rfft(torch.from_numpy(frames))).flatten(1).numpy()
    bins = np.ceil(np.array([AUDIBLE_HZ, *edges, math.inf]) * size / rate).clip(max=size // 2 + 1)
    stretches = [spectra[:, 2 * low : 2 * high] for low, high in pairwise(bins.astype(int))]
    parts = np.array([np.einsum("ij,ij->", stretch, stretch) for stretch in stretches], np.float64)
    whole = parts.sum()
    return parts / whole if 0 < whole < math.inf else np.zeros(len(parts))


def _whole(samples: Samples, size: int) -> Samples:
    """The samples [T] without their offset, followed by silence: [1, size]."""
    frame = np.zeros((1, size), np.float32)
    frame[0, : len(samples)] = samples - samples.mean()
    return frame


def _drawn(samples: Samples, size: int) -> Samples:
    """Windows of a clip, each with its weight, [at most WINDOWS, size]."""
    hop = size // 4  # the squares of Hann windows that far apart add up to a constant
    first = -3 * hop  # where the first window begins, so that all of the clip counts alike
    thin = samples[::THINNED]
    places, weights = _places(thin, hop // THINNED)
    frames, offset = np.zeros((len(places), size), np.float32), thin.mean()
    for frame, begin in zip(frames, first + hop * places, strict=True):
        inside = samples[max(begin, 0) : begin + size]
        # Without the offset, which would click where a window reaches beyond the clip.
        np.subtract(inside, offset, out=frame[max(-begin, 0) :][: len(inside)])
    frames *= _hann(size)
    frames *= weights[:, None]
    return frames


def _places(samples: Samples, hop: int) -> tuple[NDArray[np.intp], Samples]:
    """Which windows of 4 hops are drawn, numbered from the one that ends with the first hop; and weights."""
    padded = np.zeros((-(-len(samples) // hop) + 6) * hop, np.float32)
    np.subtract(samples, samples.mean(), out=padded[3 * hop : 3 * hop + len(samples)])
    steps = padded.reshape(-1, hop)
    # Of the deviations from each step's mean, because rumble would hide where the sound is.
    means = steps @ np.full(hop, 1 / hop, np.float32)
    spread = np.einsum("ij,ij->i", steps, steps) - hop * means**2
    energy = np.convolve(spread.clip(min=0), np.ones(4), "valid")
    total = np.cumsum(energy)
    # Not at equal steps, which could keep time with a beat.
    strata = np.arange(WINDOWS)
    drawn = np.searchsorted(total, (strata + (strata + 1) * GOLDEN % 1) / WINDOWS * total[-1])
    places, times = np.unique(drawn.clip(max=len(energy) - 1), return_counts=True)
    return places, np.sqrt(times / energy[places].clip(min=1e-30)).astype(np.float32)


@cache
def _hann(size: int) -> Samples:
    window: Samples = torch.hann_window(size).numpy()
    return window
