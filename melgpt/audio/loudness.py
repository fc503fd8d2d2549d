"""How loud a sound is to people (ITU-R BS.1770-5, https://www.itu.int/rec/R-REC-BS.1770)."""

import math

import numpy as np
from scipy import signal

from melgpt.types import Audio

BLOCK_SECONDS, STEPS = 0.4, 4
"""Length of a block, and how many of them begin within one."""
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0
"""Blocks below the first level (LUFS), or so much below the mean of the rest, do not count."""
OFFSET = -0.691
"""Brings a sine of 997 Hz to its level in dB."""


def loudness(sound: Audio) -> float:
    """Integrated loudness of a mono sound [1, T] in LUFS; -inf for silence.

    A sound shorter than a block is one block.
    """
    samples = _weighted(sound.samples[0].double().numpy(), sound.rate)
    block = min(len(samples), round(BLOCK_SECONDS * sound.rate))
    if block == 0:
        return -math.inf
    blocks = np.lib.stride_tricks.sliding_window_view(samples, block)[:: max(1, block // STEPS)]
    power = np.square(blocks).mean(1)
    power = power[power > 10 ** ((ABSOLUTE_GATE - OFFSET) / 10)]
    if not len(power):
        return -math.inf
    power = power[power > power.mean() * 10 ** (RELATIVE_GATE / 10)]
    return OFFSET + 10 * math.log10(power.mean())


def _weighted(samples: np.ndarray, rate: int) -> np.ndarray:
    """The samples as a head hears them: more above 1.7 kHz, nothing below 40 Hz."""
    for numerator, denominator in (_shelf(rate), _high_pass(rate)):
        samples = signal.lfilter(numerator, denominator, samples)
    return samples


def _shelf(rate: int) -> tuple[np.ndarray, np.ndarray]:
    """The standard's first filter, given there at 48 kHz, at any rate."""
    high = 10 ** (3.999843853973347 / 20)
    return _bilinear(1681.974450955533, 0.7071752369554196, rate, (high, high**0.4996667741545416, 1.0))


def _high_pass(rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Its second filter; the standard leaves the numerator as 1, -2, 1."""
    _, denominator = _bilinear(38.13547087602444, 0.5003270373238773, rate, (1.0, 0.0, 0.0))
    return np.array([1.0, -2.0, 1.0]), denominator


def _bilinear(
    hertz: float, quality: float, rate: int, gains: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """A second-order section whose gains far above, at and far below `hertz` are given."""
    k = math.tan(math.pi * hertz / rate)
    high, middle, low = gains
    first = 1 + k / quality + k * k
    ends, slope = high + low * k * k, middle * k / quality
    numerator = np.array([ends + slope, 2 * (low * k * k - high), ends - slope])
    denominator = np.array([first, 2 * (k * k - 1), 1 - k / quality + k * k])
    return numerator / first, denominator / first
