"""From a path to the parts that decoders read: joined files one by one, wrong headers corrected."""

import mmap
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from melgpt.audio.decoding.mpeg import ID3_HEADER, id3_length, is_mpeg, mpeg_parts
from melgpt.audio.decoding.ogg import CAPTURE, ogg_parts
from melgpt.audio.decoding.part import Part
from melgpt.audio.decoding.sizes import aiff_parts, au_parts, caf_parts, riff_parts, w64_parts

_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
"""Mark and first block header of a FLAC file (RFC 9639)."""
_MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga", ".mpa", ".m2a")
_MATROSKA = re.compile(rb"\x1a\x45\xdf\xa3.{1,64}?\x42\x82.(webm|matroska)", re.DOTALL)
"""EBML header with its document type (RFC 8794)."""


def parts_of(path: Path) -> list[Part]:
    """The parts of a sound file in their order; one that is the whole file for most files."""
    with open(path, "rb") as file:
        head = file.read(16)
        find = _finder(head)
        if find is None:
            return [Part(path)]
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return find(path, data)


def reads_with_ffmpeg(path: Path) -> bool:
    """Whether FFmpeg must decode this file: libsndfile believes a guessed length, and writes to the terminal
    of what is no MP3."""
    with open(path, "rb") as file:
        head = file.read(ID3_HEADER)
        file.seek(id3_length(head))
        behind = file.read(4)
    return behind not in (b"RIFF", b"FORM") and (is_mpeg(head) or path.suffix.lower() in _MPEG_SUFFIXES)


def _finder(head: bytes) -> Callable[[Path, mmap.mmap], list[Part]] | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return riff_parts
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return aiff_parts
    if head[4:8] == b"ftyp":
        return _mp4_parts
    if is_mpeg(head):
        return mpeg_parts
    by_mark = {
        CAPTURE: ogg_parts,
        b"fLaC": _marked(_FLAC),
        b"\x1a\x45\xdf\xa3": _marked(_MATROSKA),
        b".snd": au_parts,
        b"dns.": au_parts,
        b"caff": caf_parts,
        b"riff": w64_parts,
    }
    return by_mark.get(head[:4])


def _marked(mark: "re.Pattern[bytes]") -> Callable[[Path, mmap.mmap], list[Part]]:
    """Files one after the other, each of which begins with a mark that no sound contains."""

    def find(path: Path, data: mmap.mmap) -> list[Part]:
        return _between(path, [0, *(match.start() for match in mark.finditer(data, 4))])

    return find


def _mp4_parts(path: Path, data: mmap.mmap) -> list[Part]:
    return _between(path, [place for place, name in _boxes(data) if name == b"ftyp"])


def _between(path: Path, starts: list[int]) -> list[Part]:
    return [Part(path, start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _boxes(data: mmap.mmap) -> Iterator[tuple[int, bytes]]:
    """First byte and name of each box at the top of an MP4 file (ISO/IEC 14496-12)."""
    place = 0
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        yield place, data[place + 4 : place + 8]
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if size < 8:
            return
        place += size
