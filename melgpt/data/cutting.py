"""From one file to its clips, block by block: of a long file little is in memory at a time.

A silence is held until it ends: what follows tells whether it is a part of the sound.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from melgpt.audio.io import Finding, read, read_blocks, resample, resample_blocks
from melgpt.data.config import DataConfig
from melgpt.data.level import louder
from melgpt.data.originals import originals_length
from melgpt.data.silence import loud_span, stretches
from melgpt.types import Audio, MelScale

Samples = NDArray[np.float32]
MARGIN_SECONDS = 0.1
"""Silence that is left where a silent end is taken away."""
SILENT_END_SECONDS = 0.3
"""A shorter silence before or after a sound stays: it is a part of it."""


class TooShortError(Exception):
    """A sound of fewer than the least seconds; the message says how to take it all the same."""

    def __init__(self, seconds: float, least: float) -> None:
        super().__init__(too_short(seconds, least))
        self.seconds = seconds


def too_short(seconds: float, least: float) -> str:
    """What the audit says of a sound of fewer than the least seconds."""
    return f"{seconds:.3f} s, at least {least:g} s are needed: a smaller data.min_seconds takes it"


@dataclass(frozen=True)
class Clip:
    """A clip of a file that starts `start` seconds after the file's beginning."""

    start: float
    samples: Samples
    """[T] at the scale's rate."""
    original: Samples
    """The same time [T'] at the file's own rate."""
    rate: int
    """That rate in Hz."""


def clips_of(
    path: Path,
    config: DataConfig,
    scale: MelScale,
    *,
    gain: float = 1.0,
    findings: list[Finding] | None = None,
) -> Iterator[Clip]:
    """The clips of a file in order, times `gain`; what is wrong with a readable file goes to `findings`.

    Raises what `read_blocks` does, and TooShortError.
    """
    if config.originals_length is True:
        audio = louder(read(path, findings=findings), gain)
        _check_length(audio.samples.shape[-1], audio.rate, config)
        ready = originals_length(resample(audio, scale.rate), config.clip_seconds).samples[0].numpy()
        cut = audio.samples[0, : round(config.clip_seconds * audio.rate)].numpy()
        yield Clip(0.0, ready, cut, audio.rate)
        return
    sound = _Sound((louder(block, gain) for block in read_blocks(path, findings)), config)
    for clip in _cut(sound.blocks(), config, scale):
        yield replace(clip, start=sound.skipped + clip.start)


class _Sound:
    """A sound without long silence before and after it.

    Many collections fill short sounds up to one length: learnt from, they would mostly teach silence.
    """

    def __init__(self, blocks: Iterator[Audio], config: DataConfig) -> None:
        self._blocks, self._config = blocks, config
        self.skipped = 0.0
        """Seconds left out at the beginning."""

    def blocks(self) -> Iterator[Audio]:
        """Blocks [1, T]. Silence is held until something follows; a sound of nothing else stays whole."""
        held = _Held()
        level = 10 ** (self._config.silence_db / 20)
        begun = not self._config.trim_silence
        for block, stretch in stretches(self._blocks):
            held.add(block)
            span = loud_span(stretch, level) if self._config.trim_silence else (0, block.samples.shape[-1])
            if span is None:
                continue
            place, rate = held.end - block.samples.shape[-1], held.rate
            if not begun:
                begun, silent = True, place + span[0]
                if silent >= round(SILENT_END_SECONDS * rate):
                    held.take(silent - round(MARGIN_SECONDS * rate))
                    self.skipped = held.begin / rate
            yield _audio(held.take(place + span[1]), rate)
        rest = len(held)
        if begun and self._config.trim_silence and rest >= round(SILENT_END_SECONDS * held.rate):
            rest = round(MARGIN_SECONDS * held.rate)
        if rest:
            yield _audio(held.take(held.begin + rest), held.rate)


def _audio(samples: Samples, rate: int) -> Audio:
    return Audio(torch.from_numpy(samples).unsqueeze(0), rate)


class _Held:
    """What is still needed of a stream of samples."""

    def __init__(self) -> None:
        self._parts: list[Samples] = []
        self.begin, self.end, self.rate = 0, 0, 0
        """The first sample that is held, the one after the last, and samples a second."""

    def __len__(self) -> int:
        return self.end - self.begin

    def add(self, block: Audio) -> None:
        """Hold a block [1, T], too."""
        self._parts.append(block.samples[0].numpy())
        self.end, self.rate = self.end + block.samples.shape[-1], block.rate

    def through(self, blocks: Iterable[Audio]) -> Iterator[Audio]:
        """The blocks, each held before it is handed on."""
        for block in blocks:
            self.add(block)
            yield block

    def take(self, end: int) -> Samples:
        """Samples before `end`, which are not held any longer."""
        together = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        taken, rest = np.split(together, [max(0, end - self.begin)])
        self._parts, self.begin = [rest], self.begin + len(taken)
        return taken


def _cut(blocks: Iterator[Audio], config: DataConfig, scale: MelScale) -> Iterator[Clip]:
    """Clips of a sound; a rest that is too short is left out, and alone it raises TooShortError."""
    length, least = round(config.clip_seconds * scale.rate), round(config.least_rest * scale.rate)
    originals, resampled = _Held(), _Held()

    def clip() -> Clip:
        end = resampled.begin + length
        original = originals.take(round(end / scale.rate * originals.rate))
        return Clip(resampled.begin / scale.rate, resampled.take(end), original, originals.rate)

    for _ in resampled.through(resample_blocks(originals.through(blocks), scale.rate)):
        while len(resampled) >= length:
            yield clip()
    if not resampled.begin:
        _check_length(originals.end, originals.rate, config)
    if len(resampled) >= least or (len(resampled) and not resampled.begin):
        yield clip()


def _check_length(samples: int, rate: int, config: DataConfig) -> None:
    if samples / rate < config.min_seconds:
        raise TooShortError(samples / rate, config.min_seconds)
