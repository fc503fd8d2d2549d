"""MPEG audio (MP3): joined files, and the length that a Xing or Info header states.

The length in a header is exact; without one, a decoder can only guess it from the first frames' bit rate.
Format of the tags: http://gabriel.mp3-tech.org/mp3infotag.html, ID3v2: https://id3.org/id3v2.4.0-structure
"""

import re
import struct
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

from melgpt.audio.decoding.part import Part

_ID3 = b"ID3"
ID3_HEADER = 10
_MARKS = re.compile(rb"ID3[\x02-\x04]|Xing|Info")
_SEARCHED = 1 << 16
"""Bytes in which the first frame must begin."""
_RATES = (44100, 48000, 32000)
_DECODER_DELAY = 529
"""Samples that every MPEG layer III decoder adds before the sound."""


def mpeg_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The files that lie one after the other in an MP3 file, as far as their tags show.

    All from the file's first byte on: a tag in front, which ends at `begin`, is one of them.
    """
    starts = [0]
    first = _frame_start(data, 0)
    begun = 0 if first is None else first.place
    for mark in _MARKS.finditer(data, begun):
        start = _part_start(data, mark.start())
        if start is None or start <= begun:
            continue  # the header of a part whose tag was met before
        following = _frame_start(data, start)
        if following is not None:
            starts.append(start)
            begun = following.place
    ends = [*starts[1:], None]
    return [
        Part(path, start, end, promised=_stated_seconds(data, start))
        for start, end in zip(starts, ends, strict=True)
    ]


def is_mpeg(head: bytes) -> bool:
    """Whether these first bytes are those of MPEG or ADTS frames, or of a tag before them."""
    return head[:3] == _ID3 or (len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


@dataclass(frozen=True)
class _Frame:
    """An MPEG audio frame."""

    place: int
    """Its first byte."""
    rate: int
    samples: int
    side: int
    """Bytes from its beginning to a Xing header."""


def _part_start(data: mmap, mark: int) -> int | None:
    """First byte of the file that an ID3 tag or a Xing header at `mark` begins."""
    if data[mark : mark + 3] == _ID3:
        return mark if _tag_length(data, mark) else None
    for side in (36, 21, 13):
        frame = _frame_at(data, mark - side) if mark >= side else None
        if frame is not None and frame.side == side:
            return frame.place
    return None


def id3_length(head: bytes) -> int:
    """Bytes of the ID3v2 tag that begins with these bytes, 0 where there is none."""
    if (
        len(head) < ID3_HEADER
        or head[:3] != _ID3
        or head[3] > 4
        or any(byte & 0x80 for byte in head[6:ID3_HEADER])
    ):
        return 0
    size = sum(byte << 7 * place for place, byte in enumerate(reversed(head[6:ID3_HEADER])))
    return ID3_HEADER + size + (ID3_HEADER if head[5] & 0x10 else 0)


def _tag_length(data: mmap, start: int) -> int:
    return id3_length(data[start : start + ID3_HEADER])


def _frame_start(data: mmap, start: int) -> _Frame | None:
    """The first frame at or after `start`, behind tags and padding."""
    while length := _tag_length(data, start):
        start += length
    for match in re.finditer(b"\xff[\xe0-\xff]", data[start : start + _SEARCHED]):
        if frame := _frame_at(data, start + match.start()):
            return frame
    return None


def _frame_at(data: mmap, place: int) -> _Frame | None:
    """The layer III frame at `place`, None where there is no such header."""
    head = data[place : place + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate = head[2] >> 2 & 3
    if version == 1 or layer != 1 or rate == 3 or head[2] >> 4 == 15:
        return None
    mono = head[3] >> 6 == 3
    newest = version == 3  # MPEG-1
    side = 4 + ((17 if mono else 32) if newest else (9 if mono else 17))
    return _Frame(place, _RATES[rate] // {3: 1, 2: 2, 0: 4}[version], 1152 if newest else 576, side)


def _stated_seconds(data: mmap, start: int) -> float | None:
    """Seconds that the Xing or Info header of the part at `start` states; None where there is none."""
    frame = _frame_start(data, start)
    if frame is None:
        return None
    at = frame.place + frame.side
    header = data[at : at + 12]
    if len(header) < 12 or header[:4] not in (b"Xing", b"Info"):
        return None
    flags, frames = struct.unpack(">II", header[4:])
    if not flags & 1:
        return None
    samples = frames * frame.samples
    lame = at + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if data[lame : lame + 4].isalnum():  # the encoder's name; its delay and padding lie 21 bytes behind
        both = int.from_bytes(data[lame + 21 : lame + 24], "big")
        delay, padding = both >> 12, both & 0xFFF
        samples -= delay + _DECODER_DELAY + max(0, padding - _DECODER_DELAY)
    return max(0, samples) / frame.rate
