"""Sound files in and out, of any length, rate and number of channels; soxr changes the rate.

Which decoder reads which file, and how damage is met: `melgpt.audio.decoding`.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch

from melgpt import types
from melgpt.audio.audio import Audio
from melgpt.audio.decoding.block import (
    BLOCK,
    LENGTH_TOLERANCE_SECONDS,
    AudioError,
    Block,
    Decoding,
    Ending,
    TruncatedAudioError,
)
from melgpt.audio.decoding.channels import Mixer
from melgpt.audio.decoding.ffmpeg import decode_ffmpeg
from melgpt.audio.decoding.libsndfile import decode_libsndfile
from melgpt.audio.decoding.part import Part
from melgpt.audio.decoding.parts import parts_of, reads_with_ffmpeg
from melgpt.audio.output import Output, Written, write_file

__all__ = [
    "BLOCK",
    "AudioError",
    "Finding",
    "TruncatedAudioError",
    "read",
    "read_blocks",
    "resample",
    "resample_blocks",
]

LOST_SHARE = 0.5
"""A file that is damaged before its end may lose this share of its length and is still used."""
HIGHEST = 2.0**33
"""A sample beyond this is no integer's scale either, but damage."""
LOWEST_RATE, HIGHEST_RATE = 100, 2_000_000
"""Rates in Hz; others stand in damaged headers."""
_ROUNDING_SECONDS = 1e-4
FADE_SECONDS = 0.01
"""Long enough not to click, too short to be heard as a fade."""

DAMAGED, CANCELLING = "damaged", "channels cancel"


@dataclass(frozen=True)
class Finding:
    """Something wrong with a sound that could be read all the same."""

    reason: str
    """DAMAGED: a part of it could not be decoded. CANCELLING: the mean of its channels is nearly silent."""
    detail: str


def read(path: Path | str, rate: int | None = None, findings: list[Finding] | None = None) -> Audio:
    """Decode a sound or video file to mono, samples [1, T] float32; resampled where `rate` (Hz) is given.

    What is wrong with a file that can be read all the same is appended to `findings`. Raises
    FileNotFoundError, AudioError for what no decoder understands or what holds no sound, and
    TruncatedAudioError where less was decoded than the header promises.
    """
    blocks = read_blocks(path, findings)
    parts = list(blocks if rate is None else resample_blocks(blocks, rate))
    samples = parts[0].samples if len(parts) == 1 else torch.cat([part.samples for part in parts], -1)
    return Audio(samples, parts[0].rate)


def read_blocks(path: Path | str, findings: list[Finding] | None = None) -> Iterator[Audio]:
    """The same in blocks of some BLOCK samples, one at a time in memory, however long the file is.

    Files that were joined into one follow each other, at the rate of the first. Raises as `read` does, and
    what shows at a file's end alone after its last block.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such sound file: {path}")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty")
    rate = 0
    for run_rate, run in groupby(_mono_blocks(path, findings), key=lambda block: block.rate):
        rate = rate or run_rate
        yield from (Audio(block.samples, block.rate) for block in resample_blocks(run, rate))
    if not rate:
        raise AudioError(f"{path}: no sound could be decoded")


def _mono_blocks(path: Path, findings: list[Finding] | None) -> Iterator[types.Audio]:
    """Blocks [1, T] of all parts of a file, each at the rate of its part."""
    parts, mixer, damage = parts_of(path), Mixer(), list[str]()
    decode = decode_ffmpeg if reads_with_ffmpeg(path) else decode_libsndfile
    for number, part in enumerate(parts, 1):
        try:
            ending = yield from _mono_part(decode(part), path, mixer)
            damage += _damage(part, ending)
            if not ending.seconds and len(parts) > 1:
                damage.append(f"part {number} of {len(parts)} holds no sound")
        except AudioError as error:
            if number == len(parts) and (len(parts) == 1 or isinstance(error, TruncatedAudioError)):
                raise
            damage.append(f"part {number} of {len(parts)}: {str(error).removeprefix(f'{path}: ')}")
    if findings is not None:
        findings += [Finding(DAMAGED, words) for words in damage]
        findings += [Finding(CANCELLING, mixer.finding())] if mixer.finding() else []


def _mono_part(decoding: Decoding, path: Path, mixer: Mixer) -> Generator[types.Audio, None, Ending]:
    while True:
        try:
            block = next(decoding)
        except StopIteration as end:
            ending: Ending = end.value
            return ending
        yield _mono(path, block, mixer)


def _mono(path: Path, block: Block, mixer: Mixer) -> types.Audio:
    if not LOWEST_RATE <= block.rate <= HIGHEST_RATE:
        raise AudioError(
            f"{path}: {block.rate} Hz is no rate of a sound ({LOWEST_RATE} to {HIGHEST_RATE} Hz)"
        )
    # Without a copy of the block, as its magnitudes would be; NaN stays NaN.
    peak = float(np.maximum(block.samples.max(initial=0.0), -block.samples.min(initial=0.0)))
    if not np.isfinite(peak):
        wrong = int((~np.isfinite(block.samples)).sum())
        raise AudioError(f"{path}: {wrong} of {block.samples.size} samples are not finite numbers")
    if peak > HIGHEST:
        raise AudioError(f"{path}: samples of {peak:.3g} are no sound: full scale is 1")
    mono = mixer.mono(block)
    return types.Audio(torch.from_numpy(mono).unsqueeze(0), block.rate)


def _damage(part: Part, ending: Ending) -> list[str]:
    """What is wrong with a part that was decoded. Raises TruncatedAudioError where its end is missing."""
    decoded = f"{ending.seconds:.2f} s decoded"
    if ending.seconds and part.cut:
        raise TruncatedAudioError(f"{part.path}: truncated: the file ends inside a page or box, {decoded}")
    whole = part.claimed == 1
    promised = ending.promised if whole else ending.seconds * part.claimed
    damage = [words for words in (part.damage, ending.damage) if words]
    tolerance = LENGTH_TOLERANCE_SECONDS if whole and not ending.exact else _ROUNDING_SECONDS
    if promised is not None and 0 < ending.seconds < promised - tolerance:
        decoded = f"{decoded} of {promised:.2f} s in its header"
        lost = promised - ending.seconds
        in_the_middle = (whole and ending.reached_end) or (damage and lost < LOST_SHARE * promised)
        if not in_the_middle:
            raise TruncatedAudioError(f"{part.path}: damaged or truncated: {decoded}")
        damage = damage or ["damaged data"]
    return [f"{' and '.join(damage)}, {decoded}"] if damage else []


def resample(audio: types.Audio, rate: int) -> types.Audio:
    """The same sound at another rate (soxr, high quality)."""
    if audio.rate == rate:
        return audio
    channels = [soxr.resample(row.numpy(), audio.rate, rate, quality="HQ") for row in audio.samples]
    return Audio(torch.from_numpy(np.stack(channels)), rate)


def resample_blocks(blocks: Iterable[types.Audio], rate: int) -> Iterator[types.Audio]:
    """Blocks [1, T] of one sound at another rate: together the very samples that `resample` makes of it."""
    stream: soxr.ResampleStream | None = None
    for block in blocks:
        if block.rate == rate:
            yield block
            continue
        stream = stream or soxr.ResampleStream(block.rate, rate, 1, dtype="float32", quality="HQ")
        yield Audio(torch.from_numpy(stream.resample_chunk(block.samples[0].numpy())).unsqueeze(0), rate)
    if stream is not None:
        rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
        yield Audio(torch.from_numpy(rest).unsqueeze(0), rate)


def fade_out(audio: types.Audio, seconds: float = FADE_SECONDS) -> Audio:
    """The same sound with a short linear fade at its end, so that a cut does not click."""
    length = min(round(seconds * audio.rate), audio.samples.shape[-1])
    ramp = torch.ones(audio.samples.shape[-1])
    ramp[ramp.shape[0] - length :] = torch.linspace(1, 0, length)
    return Audio(audio.samples * ramp, audio.rate)


def write(path: Path | str, audio: types.Audio, **output: Any) -> Written:
    """Write one sound, samples [1, T], as WAV, FLAC or OGG, by the suffix; whole or not at all.

    output: bits, rate, normalize, see audio.output.Output; 16 bits by default.
    """
    return write_pieces(path, [audio], audio.rate, Output.parse(output))


def write_pieces(
    path: Path | str, pieces: Iterable[types.Audio], rate: int, output: Output | None = None
) -> Written:
    """The same of a sound that comes in pieces, each held only until it is written."""
    output = Output() if output is None else output
    output.subtype(Path(path).name)
    if output.rate is None:
        return write_file(Path(path), pieces, rate, output)
    return write_file(Path(path), resample_blocks(pieces, output.rate), output.rate, output)
