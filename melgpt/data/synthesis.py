"""What synthetic sounds are made of: oscillators, noise, resonators, modal banks, envelopes, rooms.

Waves are float64 arrays [T] at RATE Hz; times are in seconds, frequencies in Hz. Randomness is a passed
generator.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal
from scipy.interpolate import PchipInterpolator

RATE = 22050
HIGHEST = 0.45 * RATE
"""Partials above this are left out, so that nothing folds back."""

Wave = NDArray[np.float64]


def samples(seconds: float) -> int:
    """How many samples so many seconds are, at least one."""
    return max(1, round(seconds * RATE))


def curve(points: Sequence[float], count: int) -> Wave:
    """A smooth line [count] through evenly spaced points (monotone between them: nothing overshoots)."""
    return np.asarray(PchipInterpolator(np.linspace(0, 1, len(points)), points)(np.linspace(0, 1, count)))


def drift(rng: Generator, count: int, hz: float) -> Wave:
    """A slow random walk around 0 with unit deviation that changes about `hz` times a second."""
    knots = max(4, round(count / RATE * hz) + 2)
    return curve(list(rng.standard_normal(knots)), count)


def strike(count: int, attack: float, decay: float) -> Wave:
    """Envelope of something struck: quick rise, exponential fall."""
    time = np.arange(count) / RATE
    rise = np.minimum(time / max(attack, 1 / RATE), 1.0)
    return rise * np.exp(-np.maximum(time - attack, 0) / decay)


def swell(count: int, rise: float, fall: float) -> Wave:
    """Envelope of something blown or sung: raised-cosine flanks of so many seconds, 1 between them."""
    envelope = np.ones(count)
    for flank, at_end in ((min(samples(rise), count), False), (min(samples(fall), count), True)):
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(flank) + 0.5) / flank)
        if at_end:
            envelope[-flank:] *= ramp[::-1]
        else:
            envelope[:flank] *= ramp
    return envelope


def tone(pitch: Wave) -> Wave:
    """A sine of a pitch [T] in Hz that may change."""
    return np.sin(2 * np.pi * np.cumsum(pitch) / RATE)


def glottis(rng: Generator, pitch: Wave, *, slope: float = 1.0, roughness: float = 0.0) -> Wave:
    """Voice source: harmonics of a pitch [T] in Hz that fall as 1 / k ** slope.

    Roughness adds jitter of the pitch and, above 0.3, a beat at half the pitch, as in a strained voice.
    """
    count = len(pitch)
    pitch = pitch * (1 + 0.03 * roughness * drift(rng, count, 90))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    turn = np.exp(1j * phase)
    partial, wave = turn.copy(), np.zeros(count)
    lowest = float(pitch.min())
    for k in range(1, int(HIGHEST / lowest) + 1):
        wave += np.where(k * pitch < HIGHEST, k**-slope, 0) * partial.imag
        partial *= turn
    beat = max(0.0, roughness - 0.3)
    return wave * (1 + beat * np.sin(phase / 2 + rng.uniform(0, 6)))


def noise(rng: Generator, count: int, low: float = 0.0, high: float = HIGHEST) -> Wave:
    """Gaussian noise of a band in Hz, unit deviation."""
    wave = rng.standard_normal(count + 256)
    if low > 0:
        wave = signal.sosfilt(signal.butter(2, low, "highpass", fs=RATE, output="sos"), wave)
    if high < HIGHEST:
        wave = signal.sosfilt(signal.butter(2, high, "lowpass", fs=RATE, output="sos"), wave)
    # The filter's start is cut away, so that the noise is as loud at its beginning as later.
    wave = wave[256:]
    return np.asarray(wave / (wave.std() + 1e-9))


def pink(rng: Generator, count: int) -> Wave:
    """Noise whose power falls as 1 / f, as rooms and streets have it; unit deviation."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / RATE)
    wave = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 40.0)), n=count)
    return np.asarray(wave / (wave.std() + 1e-9))


def dull(wave: Wave, hz: float) -> Wave:
    """Softly lowpassed, as by distance or air: 6 dB an octave above `hz`."""
    pole = np.exp(-2 * np.pi * hz / RATE)
    return np.asarray(signal.lfilter([1 - pole], [1, -pole], wave))


def formants(wave: Wave, peaks: Sequence[tuple[float, float, float]]) -> Wave:
    """Resonators side by side, as a throat and mouth: peaks of (Hz, bandwidth Hz, gain)."""
    out = np.zeros_like(wave)
    for hz, width, gain in peaks:
        if hz < HIGHEST:
            radius = np.exp(-np.pi * width / RATE)
            turn = 2 * np.pi * hz / RATE
            poles = [1, -2 * radius * np.cos(turn), radius**2]
            # Zeros at 0 and at half the rate; unit gain at the peak.
            out += gain * signal.lfilter([(1 - radius**2) / 2, 0, -(1 - radius**2) / 2], poles, wave)
    return out


def mouth(wave: Wave, shut: Sequence[float], open_: Sequence[float], opening: Wave) -> Wave:
    """Formants that glide between two sets of frequencies in Hz as `opening` [T] goes from 0 to 1."""
    gains = (1.0, 0.7, 0.45, 0.25)
    # A mouth may have fewer formants than there are gains.
    ends = [
        formants(
            wave, [(hz, 60 + 0.06 * hz, gain) for hz, gain in zip(hertz, gains[: len(hertz)], strict=True)]
        )
        for hertz in (shut, open_)
    ]
    return (1 - opening) * ends[0] + opening * ends[1]


def modes(
    rng: Generator, count: int, hertz: Sequence[float], *, decays: Sequence[float], gains: Sequence[float]
) -> Wave:
    """A struck body: a decaying sine for each of its modes (Hz, seconds to 1 / e, gain), phases at random."""
    time = np.arange(count) / RATE
    wave = np.zeros(count)
    for hz, decay, gain in zip(hertz, decays, gains, strict=True):
        if hz < HIGHEST:
            reach = min(count, samples(9 * decay))
            turning = np.sin(2 * np.pi * hz * time[:reach] + rng.uniform(0, 2 * np.pi))
            wave[:reach] += gain * np.exp(-time[:reach] / decay) * turning
    return wave


def room(rng: Generator, wave: Wave, *, seconds: float, wet: float, hz: float = 4000.0) -> Wave:
    """The same sound in a room whose tail falls by 60 dB in so many seconds and is dull above `hz`."""
    count = samples(seconds)
    tail = dull(rng.standard_normal(count), hz) * 10 ** (-3 * np.arange(count) / count)
    tail[: samples(0.004)] = 0
    tail *= wet / (np.sqrt((tail**2).sum()) + 1e-9)
    out = np.concatenate([wave, np.zeros(count)])
    out[:-1] += signal.fftconvolve(wave, tail)
    return out


def mix(parts: Sequence[tuple[float, Wave]]) -> Wave:
    """Sounds laid over each other, each beginning at its own second."""
    starts = [round(at * RATE) for at, _ in parts]
    out = np.zeros(max(start + len(wave) for start, (_, wave) in zip(starts, parts, strict=True)))
    for start, (_, wave) in zip(starts, parts, strict=True):
        out[start : start + len(wave)] += wave
    return out


def level(wave: Wave, peak: float = 1.0) -> Wave:
    """The same sound with another peak."""
    return wave * (peak / (np.abs(wave).max() + 1e-9))
