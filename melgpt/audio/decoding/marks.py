"""How files begin whose first bytes no sound contains: where one ends and another begins in a joined file."""

import re
from collections.abc import Callable
from mmap import mmap
from pathlib import Path

from melgpt.audio.decoding.part import Part

_MATROSKA = re.compile(rb"\x1a\x45\xdf\xa3.{1,64}?\x42\x82.(webm|matroska)", re.DOTALL)
"""EBML header with its document type (RFC 8794)."""
_WAVPACK = re.compile(rb"wvpk.{4}.\x04.{6}\x00{4}.{5}[\x08-\x0f\x18-\x1f].{2}", re.DOTALL)
"""The first block of a WavPack file: its first sample is number 0, and its first channels are in it."""
_IRCAM = re.compile(
    rb"\x64\xa3[\x01-\x04]\x00.{4}[\x01-\x10]\x00{3}.\x00|\x00[\x01-\x04]\xa3\x64.{4}\x00{3}[\x01-\x10]\x00",
    re.DOTALL,
)
MARKS = {
    b"\x1a\x45\xdf\xa3": _MATROSKA,
    b"wvpk": _WAVPACK,
    b"TTA1": re.compile(rb"TTA1\x01\x00[\x01-\x08]\x00[\x08-\x20]\x00", re.DOTALL),
    b"FLV\x01": re.compile(rb"FLV\x01[\x01\x04\x05]\x00\x00\x00\x09\x00{4}", re.DOTALL),
    b"#!AM": re.compile(rb"#!AMR(-WB)?\n"),
    b".RMF": re.compile(rb"\.RMF\x00{3}\x12\x00"),
    b"Crea": re.compile(rb"Creative Voice File\x1a"),
    b"NIST": re.compile(rb"NIST_1A\n   [ 0-9]{4}\n"),
    b"2BIT": re.compile(rb"2BIT.{8}(\x00\x00|\xff\xff)\x00[\x08\x10\x20]", re.DOTALL),
    b" paf": re.compile(rb" paf\x00{4}\x00{3}[\x00\x01]\x00{2}"),
    b"fap ": re.compile(rb"fap \x00{4}[\x00\x01]\x00{3}.{2}\x00{2}", re.DOTALL),
    b"FORM": re.compile(rb"FORM.{4}(8SVX|16SV)VHDR", re.DOTALL),
    **dict.fromkeys((b"\x64\xa3" + bytes([kind, 0]) for kind in range(1, 5)), _IRCAM),
    **dict.fromkeys((bytes([0, kind]) + b"\xa3\x64" for kind in range(1, 5)), _IRCAM),
    b"\x30\x26\xb2\x75": re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"),
    b"\xb7\xd8\x00\x20": re.compile(rb"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d"),
    b"PVF1": re.compile(rb"PVF1\n\d+ \d+ \d+\n"),
}
"""How files of a kind begin, by their first four bytes, in words that no sound contains."""

_FLAC = b"fLaC\x00\x00\x00\x22"
_OTHERS = {
    _FLAC: 0,
    b"OggS\x00\x02" + bytes(8): 0,
    b"WAVEfmt ": 8,
    b"AIFFCOMM": 8,
    b"AIFCFVER": 8,
    b"ftypM4A ": 4,
    b"ftypisom": 4,
}
"""What the kinds that are met most begin with, and how far behind their first byte it stands."""

FindParts = Callable[[Path, mmap, int], list[Part]]
"""A file, its bytes and where its first part begins → its parts."""


def marked_parts(mark: "re.Pattern[bytes]") -> FindParts:
    """Files one after the other, each of which begins with a mark."""

    def find(path: Path, data: mmap, begin: int) -> list[Part]:
        return between(path, [begin, *(match.start() for match in mark.finditer(data, begin + 4))])

    return find


def between(path: Path, starts: list[int]) -> list[Part]:
    """The parts that begin at these places, each up to the next."""
    return [Part(path, start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def another_kind(data: mmap, start: int, *, flac: bool) -> int:
    """First byte of a file of another kind behind the beginning of a part; 0 where there is none.

    flac: whether FLAC is one; Matroska and Ogg have its first bytes in their own headers.
    """
    marks = {mark: before for mark, before in _OTHERS.items() if flac or mark != _FLAC}
    found = (data.find(mark, start + 12) - before for mark, before in marks.items())
    return min((place for place in found if place > start), default=0)
