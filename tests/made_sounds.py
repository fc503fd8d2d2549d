"""Seeded sounds for the tests of data sets: noise bursts with silence between, no two alike."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 22050
Sound = NDArray[np.float32]


def sound(seed: int, seconds: float = 1.0) -> Sound:
    """Bursts of band-limited noise, [T] with a peak of 0.5; another seed is another sound."""
    random = np.random.default_rng(seed)
    samples = random.normal(size=round(seconds * RATE))
    length = random.integers(2, 30)
    samples = np.convolve(samples, np.hanning(length + 2)[1:-1], "same")
    gates = np.repeat(random.uniform(0, 1, round(seconds * 16) + 1) ** 2, RATE // 16 + 1)[: len(samples)]
    samples = samples * gates
    return (0.5 * samples / np.abs(samples).max()).astype(np.float32)


def save(path: Path, samples: Sound, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path
