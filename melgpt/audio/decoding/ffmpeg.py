"""Decodes MP3, AAC, the sound of videos and whatever else FFmpeg's libraries read (PyAV).

Channels are averaged by us and never by swresample, whose downmix adds 3 dB to stereo. A packet that cannot
be decoded costs that packet alone.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from melgpt.audio.decoding.block import (
    BLOCK,
    LENGTH_TOLERANCE_SECONDS,
    AudioError,
    Block,
    Decoding,
    Ending,
    Samples,
)
from melgpt.audio.decoding.part import Part

_EXACT = frozenset({"mov", "matroska", "avi", "flv", "wav", "aiff", "au", "caf", "w64", "ape", "wv", "tta"})
"""Containers whose header states an exact length; elsewhere FFmpeg's length is guessed from a bit rate.
(That of MP3 and FLAC is the part's.)"""


def decode_ffmpeg(part: Part, after: float = 0.0) -> Decoding:
    """The default sound stream of a part, from `after` seconds on.

    Raises AudioError for what FFmpeg does not understand or what has no sound stream.
    """
    import av

    try:
        with part.opened() as source, av.open(source) as container:
            stream = _sound_stream(container, part)
            packets = _Packets(container, stream)
            promised = _promised(container, stream, part)
            yield from _gathered(packets.blocks(after))
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        if isinstance(error, AudioError):
            raise
        words = getattr(error, "strerror", None) or str(error)  # without the path, which stands in front
        raise AudioError(f"{part.path}: not a readable sound file ({words})") from None
    reached = promised is not None and packets.end >= promised - LENGTH_TOLERANCE_SECONDS
    return Ending(packets.seconds, promised, packets.damage(end=promised is None), reached)


def _sound_stream(container: Any, part: Part) -> Any:
    """The stream that is marked as default, otherwise the one that FFmpeg's players would take."""
    import av

    streams = container.streams.audio
    if not streams:
        raise AudioError(f"{part.path}: holds no sound")
    marked = [s for s in streams if s.disposition & av.stream.Disposition.default]
    stream = marked[0] if marked else container.streams.best("audio") or streams[0]
    if stream.codec_context is None:
        raise AudioError(f"{part.path}: its sound has a format that no decoder here reads")
    if stream.codec_context.name == "flac":
        # Otherwise a damaged frame is decoded as noise; other encoders write wrong checksums too often.
        stream.codec_context.options = {"err_detect": "crccheck"}
    return stream


class _Packets:
    """Decodes packet by packet, and counts what fails before the end."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self._lost, self._failing, self._stopped = 0, 0, False
        self.seconds = 0.0
        """Decoded so far."""
        self.end = 0.0
        """Where the last packet or frame ends by its time stamp."""

    def blocks(self, after: float) -> Iterator[Block]:
        """The frames from `after` seconds on, each as a block."""
        for frame in self._frames():
            rate, length = int(frame.sample_rate), int(frame.samples)
            begin = float(frame.pts * frame.time_base) if frame.pts is not None else self.seconds
            self.seconds += length / rate
            self.end = max(self.end, begin + length / rate)
            skipped = min(length, max(0, round((after - begin) * rate)))
            if skipped < length:
                yield Block(_float32(frame)[skipped:], rate)

    def damage(self, *, end: bool) -> str:
        """What was lost, in words; end: also at the end, of a file that states no length."""
        words = []
        if self._lost:
            words.append(f"{self._lost} damaged {'packet' if self._lost == 1 else 'packets'}")
        if self._stopped and end:
            words.append("unreadable data at the end")
        return " and ".join(words)

    def _frames(self) -> Iterator[Any]:
        import av

        demuxed = self._container.demux(self._stream)
        while True:
            try:
                packet = next(demuxed)
            except StopIteration:
                return
            except (av.error.FFmpegError, ValueError):
                self._stopped = True
                return
            if packet.pts is not None and packet.duration is not None and packet.time_base is not None:
                self.end = max(self.end, float((packet.pts + packet.duration) * packet.time_base))
            self._lost += bool(packet.is_corrupt)
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self._failing += 1
                continue
            if frames:
                # Failures count once something follows: at the end they are tags or a cut packet.
                self._lost, self._failing = self._lost + self._failing, 0
            yield from frames


def _float32(frame: Any) -> Samples:
    """Samples [T, channels] of a frame, full scale at 1."""
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128) / 128
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32) / np.float32(-float(np.iinfo(values.dtype).min))
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as that
        return values.astype(np.float32, copy=False)


def _gathered(frames: Iterator[Block]) -> Iterator[Block]:
    """The same in blocks of BLOCK samples or a little more, a new one where rate or channels change."""
    held: list[Block] = []
    count = 0
    for frame in frames:
        like = held[0] if held else frame
        if count >= BLOCK or (like.rate, like.samples.shape[1]) != (frame.rate, frame.samples.shape[1]):
            yield _together(held)
            held, count = [], 0
        held.append(frame)
        count += len(frame.samples)
    if held:
        yield _together(held)


def _together(blocks: list[Block]) -> Block:
    return Block(np.concatenate([block.samples for block in blocks]), blocks[0].rate)


def _promised(container: Any, stream: Any, part: Part) -> float | None:
    names = set(container.format.name.split(","))
    if names & {"mp3", "flac"}:
        return part.promised
    if not names & _EXACT:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base) or None
    only_sound = not container.streams.video
    return container.duration / 1_000_000 if only_sound and container.duration else None
