"""A small corpus that needs no download: eight synthesised classes after the originals' data set (VAS).

Every clip is its own: size, pitch, decay, rhythm, room, background and level are drawn anew, from a stream
that depends on the seed, the class and the clip's number alone.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator

from melgpt.audio.io import write
from melgpt.data import demo_impacts, demo_voices
from melgpt.data import synthesis as s
from melgpt.data.synthesis import RATE, Wave
from melgpt.errors import UserError
from melgpt.progress import progress
from melgpt.types import Audio

SHORTEST, LONGEST = 0.8, 3.0
"""Seconds of a clip."""


@dataclass(frozen=True)
class _Class:
    """How a class is made and where it sounds: the room's tail in seconds and its share."""

    make: Callable[[Generator], Wave]
    tail: tuple[float, float]
    wet: tuple[float, float]


_CLASSES = {
    "dog": _Class(demo_voices.dog, (0.1, 0.5), (0.05, 0.4)),
    "fireworks": _Class(demo_impacts.fireworks, (0.5, 1.0), (0.2, 0.5)),
    "drum": _Class(demo_impacts.drum, (0.1, 0.4), (0.05, 0.3)),
    "baby": _Class(demo_voices.baby, (0.1, 0.4), (0.05, 0.3)),
    "gun": _Class(demo_impacts.gun, (0.4, 1.0), (0.15, 0.5)),
    "sneeze": _Class(demo_voices.sneeze, (0.1, 0.35), (0.05, 0.3)),
    "cough": _Class(demo_voices.cough, (0.1, 0.35), (0.05, 0.3)),
    "hammer": _Class(demo_impacts.hammer, (0.15, 0.6), (0.05, 0.35)),
}
LABELS = tuple(_CLASSES)


def build(out: Path, *, clips_per_class: int = 40, seed: int = 0) -> None:
    """Write the corpus as 16-bit WAV at 22 050 Hz: OUT/<class>/<class>_0001.wav and so on.

    The same seed gives the same files; more clips a class leave the first ones as they are.
    Raises UserError where fewer than one clip a class is asked for.
    """
    if clips_per_class < 1:
        raise UserError(f"a demo corpus needs at least one clip a class, not {clips_per_class}")
    with progress("demo corpus", len(LABELS) * clips_per_class) as bar:
        for label in LABELS:
            for number in range(1, clips_per_class + 1):
                wave = torch.from_numpy(clip(label, number, seed=seed)).float().unsqueeze(0)
                write(out / label / f"{label}_{number:04d}.wav", Audio(wave, RATE))
                bar.advance(note=label)


def clip(label: str, number: int, *, seed: int = 0) -> Wave:
    """One clip of a class: samples [T] in (-1, 1) at 22 050 Hz, 0.8 to 3 seconds."""
    kind = _CLASSES[label]
    rng = np.random.default_rng([seed, zlib.crc32(label.encode()), number])
    dry = s.level(kind.make(rng))
    wave = s.room(rng, dry, seconds=rng.uniform(*kind.tail), wet=rng.uniform(*kind.wet))
    wave = s.mix([(rng.uniform(0.01, 0.2), wave)])
    after = rng.uniform(0.0, 0.35) * rng.integers(0, 2)
    count = int(np.clip(len(wave) + s.samples(after), SHORTEST * RATE, LONGEST * RATE))
    wave = np.pad(wave, (0, max(0, count - len(wave))))[:count]
    wave[-s.samples(0.02) :] *= np.linspace(1, 0, s.samples(0.02))
    background = 10 ** (rng.uniform(-75, -42) / 20)
    wave = s.level(wave) + background * s.pink(rng, count)
    return s.level(wave, rng.uniform(0.35, 0.95))
