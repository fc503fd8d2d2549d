"""Sound files in and out: soundfile first, PyAV for m4a and video, soxr to change the rate.

Channels are averaged here and never by a decoder: swresample's float downmix adds 3 dB to stereo.
A damaged file often decodes short without an error, so the decoded length is held against the header's.
"""

import struct
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray

from melgpt import types
from melgpt.audio.audio import Audio
from melgpt.audio.output import Output, Written, write_file
from melgpt.errors import UserError

_SOUND = "wav flac ogg oga opus mp3 aif aiff au caf m4a aac wma"
_VIDEO = "mp4 m4v mov webm mkv avi"
SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_SOUND} {_VIDEO}".split())
LENGTH_TOLERANCE_SECONDS = 0.15
"""Encoder delay and container rounding: how much shorter than its header a sound whole file may be."""
BLOCK = 1 << 20
"""Samples of a file that are decoded at a time."""
FADE_SECONDS = 0.01
"""Long enough not to click, too short to be heard as a fade."""

Samples = NDArray[np.float32]


class AudioError(UserError):
    """A file that cannot be read as sound."""


class TruncatedAudioError(AudioError):
    """A file that holds less sound than its header promises."""


def read(path: Path | str, rate: int | None = None) -> Audio:
    """Decode a sound or video file to mono, samples [1, T] float32; resampled where `rate` (Hz) is given.

    Raises FileNotFoundError, AudioError for what no decoder understands or what holds no sound, and
    TruncatedAudioError where less was decoded than the header promises.
    """
    blocks = read_blocks(path)
    parts = list(blocks if rate is None else resample_blocks(blocks, rate))
    samples = parts[0].samples if len(parts) == 1 else torch.cat([part.samples for part in parts], -1)
    return Audio(samples, parts[0].rate)


def read_blocks(path: Path | str) -> Iterator[Audio]:
    """The same in blocks of some BLOCK samples, one at a time in memory, however long the file is.

    Raises as `read` does, and what shows at a file's end alone after its last block.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such sound file: {path}")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty")
    decoded_seconds, promised = yield from _decoded(path)
    if decoded_seconds == 0:
        raise AudioError(f"{path}: no sound could be decoded")
    if _last_page_cut(path):
        raise TruncatedAudioError(
            f"{path}: truncated: the file ends inside a page, {decoded_seconds:.2f} s decoded"
        )
    if promised is not None and decoded_seconds < promised - LENGTH_TOLERANCE_SECONDS:
        raise TruncatedAudioError(
            f"{path}: damaged or truncated: {decoded_seconds:.2f} s decoded of {promised:.2f} s in its header"
        )


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


Decoding = Generator[Audio, None, tuple[float, float | None]]
"""Blocks [1, T], the mean of the channels; then the seconds decoded, and those that the header promises."""


def _decoded(path: Path) -> Decoding:
    decoding = _decode_soundfile(path)
    try:
        first = next(decoding)
    except StopIteration as end:
        return end.value
    except soundfile.LibsndfileError:
        return (yield from _decode_av(path))
    yield first
    try:
        return (yield from decoding)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: not a readable sound file ({error})") from None


def _decode_soundfile(path: Path) -> Decoding:
    with soundfile.SoundFile(path) as file:
        promised = file.frames / file.samplerate if 0 < file.frames < 2**62 else None
        samples, rate = 0, int(file.samplerate)
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
            samples += len(block)
            yield _block(path, block[:, 0] if block.shape[1] == 1 else block.mean(1, dtype=np.float32), rate)
    present = _chunk_present(path)
    seconds = samples / rate
    return seconds, seconds / max(present, 1e-9) if present < 1 else promised


def _block(path: Path, mono: Samples, rate: int) -> Audio:
    if not np.isfinite(mono).all():
        raise AudioError(f"{path}: holds samples that are not finite numbers")
    return Audio(torch.from_numpy(mono).unsqueeze(0), rate)


_STREAMED = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000)
"""Sizes in a header that say: written to a pipe, length not known."""


def _chunk_present(path: Path) -> float:
    """Share of a WAV's or AIFF's sound chunk that the file still holds, 1 for other formats.

    libsndfile shortens the length silently to what is there.
    """
    with open(path, "rb") as file:
        order = {b"RIFF": "<", b"FORM": ">"}.get(file.read(4))
        if order is None or len(file.read(8)) < 8:
            return 1.0
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack(f"{order}4sI", header)
            if name in (b"data", b"SSND"):
                present = path.stat().st_size - file.tell()
                return 1.0 if size in _STREAMED else min(present / size, 1.0)
            file.seek(size + size % 2, 1)
    return 1.0


_PAGE_MOST = 27 + 255 + 255 * 255
"""Longest page of an Ogg file, in bytes (RFC 3533)."""


def _last_page_cut(path: Path) -> bool:
    """Whether an Ogg file ends inside a page, as a broken download does: nothing in it tells its length."""
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, path.stat().st_size - _PAGE_MOST))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""
    if len(page) < 27:
        return bool(page)
    sizes = page[27 : 27 + page[26]]
    return len(sizes) < page[26] or len(page) < 27 + len(sizes) + sum(sizes)


def _decode_av(path: Path) -> Decoding:
    """The first sound stream of anything that FFmpeg's libraries read."""
    import av

    seconds = 0.0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise AudioError(f"{path}: holds no sound")
            stream = container.streams.audio[0]
            rate = int(stream.rate)
            promised = _stream_seconds(container, stream)
            for mono in _gathered(_av_frames(container, stream)):
                seconds += len(mono) / rate
                yield _block(path, mono, rate)
    except (av.error.FFmpegError, ValueError, IndexError) as reason:
        if isinstance(reason, AudioError):
            raise
        words = getattr(reason, "strerror", None) or str(reason)  # without the path, which stands in front
        raise AudioError(f"{path}: not a readable sound file ({words})") from None
    return seconds, promised


def _av_frames(container: Any, stream: Any) -> Iterator[Samples]:
    """Samples [t], the mean of the channels, of each frame."""
    import av

    resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    for frame in chain(container.decode(stream), [None]):
        yield from (made.to_ndarray().mean(axis=0, dtype=np.float32) for made in resampler.resample(frame))


def _gathered(frames: Iterator[Samples]) -> Iterator[Samples]:
    """The same in blocks, of BLOCK samples or a little more."""
    held: list[Samples] = []
    count = 0
    for frame in frames:
        held.append(frame)
        count += len(frame)
        if count >= BLOCK:
            yield np.concatenate(held)
            held, count = [], 0
    if held:
        yield np.concatenate(held)


def _stream_seconds(container: Any, stream: Any) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    only_sound = not container.streams.video
    return container.duration / 1_000_000 if only_sound and container.duration else None
