"""From a path to the parts that decoders read: joined files one by one, wrong headers corrected."""

import mmap
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from melgpt.audio.decoding.flac import flac_parts
from melgpt.audio.decoding.mpeg import ID3_HEADER, id3_length, is_mpeg, mpeg_parts
from melgpt.audio.decoding.ogg import CAPTURE, ogg_parts
from melgpt.audio.decoding.part import Part
from melgpt.audio.decoding.sizes import aiff_parts, au_parts, caf_parts, riff_parts, w64_parts

_MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga", ".mpa", ".m2a")
_MATROSKA = re.compile(rb"\x1a\x45\xdf\xa3.{1,64}?\x42\x82.(webm|matroska)", re.DOTALL)
"""EBML header with its document type (RFC 8794)."""
_WAVPACK = re.compile(rb"wvpk.{4}.\x04.{6}\x00{4}.{5}[\x08-\x0f\x18-\x1f].{2}", re.DOTALL)
"""The first block of a WavPack file: its first sample is number 0, and its first channels are in it."""
_IRCAM = re.compile(
    rb"\x64\xa3[\x01-\x04]\x00.{4}[\x01-\x10]\x00{3}.\x00|\x00[\x01-\x04]\xa3\x64.{4}\x00{3}[\x01-\x10]\x00",
    re.DOTALL,
)
_MARKS = {
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
    b"PVF1": re.compile(rb"PVF1\n\d+ \d+ \d+\n"),
}
"""How files of a kind begin, by their first four bytes, in words that no sound contains."""

_OTHERS = {b"fLaC\x00\x00\x00\x22": 0, CAPTURE + b"\x00\x02" + bytes(8): 0, b"WAVEfmt ": 8}
"""What FLAC, Ogg and WAV files begin with, and how far behind their first byte it stands."""


def parts_of(path: Path) -> list[Part]:
    """The parts of a sound file in their order; one that is the whole file for most files."""
    with open(path, "rb") as file:
        head = file.read(16)
        find = _finder(head)
        if find is None:
            return [Part(path)]
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            parts = find(path, data)
            if (is_mpeg(head) or head[:4] == b"fLaC") and (
                place := _another_kind(data, parts[-1].start + id3_length(head))
            ):
                words = f"a file of another kind begins at byte {place}, and is not read"
                parts[-1] = replace(parts[-1], damage=words)
            return parts


def reads_with_ffmpeg(path: Path) -> bool:
    """Whether FFmpeg must decode this file: libsndfile believes a guessed length, and writes to the terminal
    of what is no MP3."""
    with open(path, "rb") as file:
        head = file.read(ID3_HEADER)
        file.seek(id3_length(head))
        behind = file.read(4)
    return behind not in (b"RIFF", b"FORM") and (is_mpeg(head) or path.suffix.lower() in _MPEG_SUFFIXES)


def _another_kind(data: mmap.mmap, start: int) -> int:
    """First byte of a file of another kind behind the beginning of an MP3 or FLAC part; 0 where none is."""
    found = (data.find(mark, start + 4) - before for mark, before in _OTHERS.items())
    return min((place for place in found if place > start), default=0)


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
        b"fLaC": flac_parts,
        b".snd": au_parts,
        b"dns.": au_parts,
        b"caff": caf_parts,
        b"riff": w64_parts,
    }
    return by_mark.get(head[:4]) or (_marked(_MARKS[head[:4]]) if head[:4] in _MARKS else None)


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
