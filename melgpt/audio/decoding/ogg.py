"""Ogg files page by page (RFC 3533): several files one after the other, damaged pages, a cut end."""

import struct
import zlib
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

from melgpt.audio.decoding.part import Part

CAPTURE = b"OggS"
_HEADER = struct.Struct("<4sBBqIII")
"""Capture pattern, version, flags, granule position, serial number, page number, checksum."""
_FIXED = 27
_FIRST, _LAST = 2, 4
_LARGEST_TAG = 1 << 9
"""Bytes that a tag of another format behind the sound may have."""
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def ogg_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The files that lie one after the other in an Ogg file, the first at `begin`; one in a usual one."""
    walk = _walk(data, begin)
    ends = [*walk.starts[1:], None]
    return [
        Part(
            path,
            start,
            end,
            cut=walk.cut and end is None,
            damage=_words(walk, number),
        )
        for number, (start, end) in enumerate(zip(walk.starts, ends, strict=True))
    ]


@dataclass
class _Walk:
    """The pages of an Ogg file, as far as they were read."""

    starts: list[int]
    """First byte of each file."""
    damaged: list[int]
    """Damaged or missing pages of each file."""
    ended: list[bool]
    """Whether each file has a page that is marked as its last."""
    cut: bool = False
    behind: int = 0
    """Bytes behind the last page."""


def _words(walk: _Walk, number: int) -> str:
    """What is wrong with one of the files; empty where nothing is."""
    if damaged := walk.damaged[number]:
        return f"{damaged} damaged or missing {'page' if damaged == 1 else 'pages'}"
    if not walk.ended[number]:
        return "the page that marks the end is missing"
    if number + 1 == len(walk.starts) and walk.behind > _LARGEST_TAG:
        return f"{walk.behind} bytes behind the last page are not read"
    return ""


def _walk(data: mmap, begin: int) -> _Walk:
    walk = _Walk([begin], [0], [False])
    numbers: dict[int, int] = {}
    place, in_headers = begin, True
    while (found := data.find(CAPTURE, place)) >= 0:
        if (length := _page_length(data, found)) is None:
            walk.cut = True
            break
        if not _is_intact(data, found, length):
            walk.damaged[-1] += 1
            follows = data[found + length : found + length + 4] == CAPTURE
            place = found + (length if follows else len(CAPTURE))
            numbers.clear()
            continue
        _, _, flags, _, serial, number, _ = _HEADER.unpack_from(data, found)
        if flags & _FIRST and not in_headers:
            walk.starts.append(found)
            walk.damaged.append(0)
            walk.ended.append(False)
            numbers.clear()
        elif serial in numbers and number > numbers[serial] + 1:
            walk.damaged[-1] += number - numbers[serial] - 1
        in_headers = bool(flags & _FIRST)
        walk.ended[-1] |= bool(flags & _LAST)
        numbers[serial] = number
        place = found + length
    walk.behind = 0 if walk.cut else len(data) - place
    return walk


def _page_length(data: mmap, start: int) -> int | None:
    """Bytes of the page at `start`; None where the file ends before the page does."""
    count = data[start + 26] if start + _FIXED <= len(data) else 0
    table = data[start + _FIXED : start + _FIXED + count]
    length = _FIXED + count + sum(table)
    complete = start + _FIXED <= len(data) and len(table) == count and start + length <= len(data)
    return length if complete else None


def _is_intact(data: mmap, start: int, length: int) -> bool:
    page = data[start : start + length]
    expected = int.from_bytes(page[22:26], "little")
    return _checksum(page[:22] + bytes(4) + page[26:]) == expected


def _checksum(page: bytes) -> int:
    """CRC-32 of Ogg, which takes the bits of a byte in the other order than zlib and inverts nothing."""
    value = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)
