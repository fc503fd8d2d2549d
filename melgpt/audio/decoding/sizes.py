"""Sizes in the headers of WAV, AIFF, AU, CAF and W64 files: unknown, wrapped, too large, or right.

Recorders and pipes write a placeholder where a length is not known yet, and a size above 4 GiB does not fit
into 32 bits. Both mean that the sound goes on to the end of the file; the decoders do not all read it so.
RF64: EBU Tech 3306. CAF: Apple Core Audio Format Specification 1.0.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from mmap import mmap
from pathlib import Path

from melgpt.audio.decoding.part import Part

_WRAP = 1 << 32
_NEAR = 1 << 20
"""Placeholders lie within so many bytes of 0x7FFFFFFF or 0xFFFFFFFF (64-bit sizes: likewise), with or
without the header's own bytes."""
_POWERS = (1 << 31, 1 << 32, 1 << 63, 1 << 64)
_SOX_PIPE = 0x7F000000
"""Size that sox writes into a piped AIFF file."""
_HEADER_BYTES = 64
"""Some programs count the bytes of the header, too."""
_LEAST_BEHIND = 1 << 9
"""Bytes behind the sound that are worth a finding where they are no chunks."""


def riff_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The files one after the other in a WAV file (RIFF, RIFX, RF64 or BW64)."""
    return _chain(path, data, begin, _wav)


def aiff_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The files one after the other in an AIFF or AIFC file."""
    return _chain(path, data, begin, _aiff)


def au_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The files one after the other in an AU file."""
    return _chain(path, data, begin, _au)


def caf_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The files one after the other in a CAF file."""
    return _chain(path, data, begin, _caf)


def w64_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The files one after the other in a Sony Wave64 file."""
    return _chain(path, data, begin, _w64)


@dataclass(frozen=True)
class _Sound:
    """Where the samples lie in a file, in bytes."""

    first: int
    claimed: int
    """Bytes by the header."""
    header: Callable[[int], bytes] | None
    """What a decoder shall read in place of the bytes before `first`, for so many bytes of sound; None where
    libsndfile reads on to the end of the file without help."""
    end: int
    """Where the whole file ends by its header; 0 where that is not known."""
    unknown: bool = False
    """The header says that the length is not known."""
    next: bytes = b""
    """How another file behind this one begins; empty where none is looked for."""
    mark: bytes = b""
    """The same of a kind whose first bytes no sound contains."""


_Reader = Callable[[mmap, int], "_Sound | None"]


def _chain(path: Path, data: mmap, start: int, read: _Reader) -> list[Part]:
    parts: list[Part] = []
    while True:
        sound = read(data, start)
        if sound is None:  # no samples found: a decoder shall say what is wrong
            return [*parts, Part(path, start)]
        part, following = _part(path, data, start, sound)
        parts.append(part)
        if not following:
            return parts
        start = following


def _part(path: Path, data: mmap, start: int, sound: _Sound) -> tuple[Part, int]:
    """The part that begins at `start`, and where the next one begins; 0 where none follows."""
    if sound.mark and (following := data.find(sound.mark, sound.first)) > 0:
        present = following - sound.first
        if sound.unknown or is_near_power(sound.claimed) or not sound.claimed:
            return _corrected(path, start, sound, following), following
        return Part(path, start, following, claimed=_claimed(sound, present)), following
    present = len(data) - sound.first
    if sound.unknown or _is_placeholder(sound, data, present):
        following = _next_file(data, sound.first, sound.next)
        return _corrected(path, start, sound, following or _trailing_chunks(data, sound)), following
    if wrapped := max(0, present - sound.claimed) // _WRAP * _WRAP:
        return _corrected(path, start, sound, sound.first + sound.claimed + wrapped), 0
    behind, behind_place = present - sound.claimed, sound.first + sound.claimed
    if sound.next and sound.end and data[sound.end : sound.end + len(sound.next)] == sound.next:
        return Part(path, start, sound.end), sound.end
    if behind >= 0 and (not sound.next or _chunks_follow(data, behind_place, sound.next)):
        return Part(path, start, damage=_second_sound(data, behind_place, sound.next)), 0
    if following := _next_file(data, sound.first, sound.next):
        return Part(path, start, following, claimed=_claimed(sound, following - sound.first)), following
    part = Part(path, start, claimed=_claimed(sound, present))
    if behind >= _LEAST_BEHIND:
        part = replace(part, damage=f"{behind} bytes behind the sound that its header does not mention")
    return part, 0


def _claimed(sound: _Sound, present: int) -> float:
    """Bytes of sound by the header over those that are there; 1 where no more than a header's are missing."""
    missing = sound.claimed - present
    return 1.0 if missing <= _HEADER_BYTES else sound.claimed / max(present, 1)


def _next_file(data: mmap, place: int, magic: bytes) -> int:
    """Where the next file of the kind begins in the bytes from `place` on; 0 where none does."""
    kinds = {b"FORM": (b"AIFF", b"AIFC")}.get(magic, (b"WAVE",))
    while magic and (place := data.find(magic, place)) > 0:
        if magic in (b".snd", b"dns.") or data[place + 8 : place + 12] in kinds:
            return place
        place += 1
    return 0


def _trailing_chunks(data: mmap, sound: _Sound) -> int | None:
    """Where a list of texts behind the sound begins, which fills the file to its end; None without one."""
    place = data.rfind(b"LIST", sound.first) if sound.next[:3] == b"RIF" else -1
    return place if place > 0 and _chunks_follow(data, place, sound.next) else None


def _corrected(path: Path, start: int, sound: _Sound, end: int | None) -> Part:
    """The part whose samples go on to `end`; None: to the end of the file."""
    if sound.header is None:
        return Part(path, start, end)
    size = path.stat().st_size if end is None else end
    return Part(path, sound.first, end, sound.header(size - sound.first))


def _is_placeholder(sound: _Sound, data: mmap, present: int) -> bool:
    """Whether the claimed size only stands for one that was not known."""
    stands = sound.claimed == 0 or is_near_power(sound.claimed)
    if not stands or sound.claimed > present:
        return stands
    return present > 0 and not _chunks_follow(data, sound.first + sound.claimed, sound.next)


def is_near_power(size: int) -> bool:
    """Whether a number stands for an unknown length: it is 2 to the power of 31, 32, 63 or 64, or near."""
    nearest = (size + (1 << 30)) >> 31 << 31
    return abs(size - _SOX_PIPE) <= _NEAR or (nearest in _POWERS and abs(size - nearest) <= _NEAR)


def _chunks_follow(data: mmap, place: int, magic: bytes) -> bool:
    """Whether well-formed chunks fill the file from `place` on."""
    order = ">" if magic in (b"FORM", b"RIFX") else "<"
    place += place % 2
    while place + 8 <= len(data):
        name, size = struct.unpack(f"{order}4sI", data[place : place + 8])
        if not all(32 <= byte < 127 for byte in name) or place + 8 + size > len(data):
            return False
        place += 8 + size + size % 2
    return True


def _second_sound(data: mmap, place: int, magic: bytes) -> str:
    """What is said where one of the chunks from `place` on holds sound again, which no decoder reads."""
    if magic[:2] != b"RI":
        return ""
    order = ">" if magic == b"RIFX" else "<"
    more = sum(size for name, _, size in _chunks(data, place + place % 2, order) if name == b"data")
    return f"{more} bytes of sound in further chunks are not read" if more else ""


def _chunks(data: mmap, place: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and size of the chunks of a RIFF or IFF file from `place` on."""
    while place + 8 <= len(data):
        name, size = struct.unpack(f"{order}4sI", data[place : place + 8])
        yield name, place + 8, size
        place += 8 + size + size % 2


def _wav(data: mmap, start: int) -> _Sound | None:
    if len(data) < start + 12:
        return None
    magic = data[start : start + 4]
    order = ">" if magic == b"RIFX" else "<"
    total = struct.unpack(f"{order}I", data[start + 4 : start + 8])[0]
    long_size, kept = 0, b""
    for name, first, size in _chunks(data, start + 12, order):
        if name == b"ds64" and size >= 16 and first + 16 <= len(data):
            total, long_size = struct.unpack("<QQ", data[first : first + 16])
        elif name == b"data":
            break
        elif name != b"JUNK":
            kept += data[first - 8 : first + size + size % 2]
    else:
        return None
    is_long = magic in (b"RF64", b"BW64")
    claimed = long_size if is_long and size == _WRAP - 1 else size

    def header(length: int) -> bytes:
        rest = kept + b"data"
        whole = 4 + len(rest) + 4 + length
        if whole < _WRAP or order == ">":
            sizes = [struct.pack(f"{order}I", min(number, _WRAP - 1)) for number in (whole, length)]
            return (b"RIFX" if order == ">" else b"RIFF") + sizes[0] + b"WAVE" + rest + sizes[1]
        ds64 = b"ds64" + struct.pack("<IQQQI", 28, whole + 36, length, 0, 0)
        return b"RF64\xff\xff\xff\xffWAVE" + ds64 + rest + b"\xff\xff\xff\xff"

    end = start + 8 + total + total % 2
    return _Sound(first, claimed, header, end if end >= first + claimed else 0, next=magic)


def _aiff(data: mmap, start: int) -> _Sound | None:
    if len(data) < start + 12:
        return None
    total = struct.unpack(">I", data[start + 4 : start + 8])[0]
    end = start + 8 + total + total % 2
    common = 0
    for name, first, size in _chunks(data, start + 12, ">"):
        if name == b"COMM":
            common = first
        elif name == b"SSND":
            # The chunk begins with two numbers, and holds nothing but them where a recorder was killed.
            known = end if end >= first + size else 0
            header = partial(_aiff_header, data[start : first + 8], common - start) if common else None
            return _Sound(first + 8, max(0, size - 8), header, known, next=b"FORM")
    return None


def _aiff_header(before: bytes, common: int, length: int) -> bytes:
    """What stands before the samples, with sizes for so many bytes; common: place of COMM's values."""
    channels, _, bits = struct.unpack(">hIh", before[common : common + 8])
    frames = length // max(1, channels * -(-bits // 8))
    sizes = ((4, len(before) - 8 + length), (common + 2, frames), (len(before) - 12, length + 8))
    header = bytearray(before)
    for place, size in sizes:
        header[place : place + 4] = struct.pack(">I", min(size, _WRAP - 1))
    return bytes(header)


def _au(data: mmap, start: int) -> _Sound | None:
    head = data[start : start + 24]
    if len(head) < 24:
        return None
    order = "<" if head[:4] == b"dns." else ">"
    offset, size = struct.unpack(f"{order}II", head[4:12])
    unknown = struct.pack(f"{order}I", _WRAP - 1)
    first = start + offset
    before = data[start:first]
    return _Sound(
        first,
        size,
        lambda _: before[:8] + unknown + before[12:],
        first + size,
        unknown=size == _WRAP - 1,
        next=head[:4],
    )


_CAF_BEGINNING = b"caff\x00\x01\x00\x00desc"


def _caf(data: mmap, start: int) -> _Sound | None:
    place = start + 8
    while place + 12 <= len(data):
        name, size = struct.unpack(">4sq", data[place : place + 12])
        if name == b"data":
            before = data[start : place + 4]
            header = partial(_caf_header, before)
            # The chunk begins with a number of its own, and holds nothing else where a recorder was killed.
            return _Sound(place + 12, size, header, 0, unknown=size <= 4, mark=_CAF_BEGINNING)
        place += 12 + max(size, 0)
    return None


def _caf_header(before: bytes, length: int) -> bytes:
    return before + struct.pack(">q", length)


_W64_BEGINNING = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def _w64(data: mmap, start: int) -> _Sound | None:
    place = start + 40
    while place + 24 <= len(data):
        size = struct.unpack("<Q", data[place + 16 : place + 24])[0]
        if data[place : place + 16] == _W64_DATA:
            # libsndfile reads to the end of the file where the size is a placeholder.
            return _Sound(place + 24, max(0, size - 24), None, 0, mark=_W64_BEGINNING)
        if size < 24:
            return None
        place += -(-size // 8) * 8
    return None
