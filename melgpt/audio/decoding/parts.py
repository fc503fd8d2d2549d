"""From a path to the parts that decoders read: joined files one by one, wrong headers corrected."""

import mmap
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from melgpt.audio.decoding.boxes import avi_parts, mp4_parts
from melgpt.audio.decoding.flac import flac_parts
from melgpt.audio.decoding.marks import MARKS, FindParts, another_kind, marked_parts
from melgpt.audio.decoding.mpeg import ID3_HEADER, id3_length, is_mpeg, mpeg_parts
from melgpt.audio.decoding.ogg import CAPTURE, ogg_parts
from melgpt.audio.decoding.part import Part
from melgpt.audio.decoding.sizes import aiff_parts, au_parts, caf_parts, riff_parts, w64_parts

_MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga", ".mpa", ".m2a")
_HEAD = 24
_BY_MARK: dict[bytes, FindParts] = {
    **{first: marked_parts(mark) for first, mark in MARKS.items()},
    CAPTURE: ogg_parts,
    b"fLaC": flac_parts,
    b".snd": au_parts,
    b"dns.": au_parts,
    b"caff": caf_parts,
    b"riff": w64_parts,
}
_SAY_WHAT_FOLLOWS = (riff_parts, aiff_parts, au_parts, ogg_parts, mp4_parts, avi_parts)
"""These tell of bytes behind the sound themselves."""


def parts_of(path: Path) -> list[Part]:
    """The parts of a sound file in their order; one that is the whole file for most files."""
    with open(path, "rb") as file:
        head, begin = _beginning(file)
        find = _finder(head, tagged=begin > 0)
        if find is None:
            return [Part(path)]
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            parts = find(path, data, begin)
            if find not in _SAY_WHAT_FOLLOWS:
                start = max(begin, parts[-1].start)
                if place := another_kind(data, start, flac=find is mpeg_parts):
                    words = f"a file of another kind begins at byte {place} and is not read"
                    parts[-1] = replace(parts[-1], end=place, damage=words)
            return parts


def reads_with_ffmpeg(path: Path) -> bool:
    """Whether FFmpeg must decode this file: of MPEG libsndfile believes a guessed length, and what is damaged
    in it is told to the terminal."""
    with open(path, "rb") as file:
        head, begin = _beginning(file)
    find = _finder(head, tagged=begin > 0)
    in_wav = find is riff_parts and head[12:16] == b"fmt " and head[20:22] in (b"\x50\x00", b"\x55\x00")
    by_name = find is None and path.suffix.lower() in _MPEG_SUFFIXES
    return find is mpeg_parts or in_wav or by_name


def _beginning(file: BinaryIO) -> tuple[bytes, int]:
    """The first bytes behind an ID3 tag, and where they stand."""
    begin = id3_length(file.read(ID3_HEADER))
    file.seek(begin)
    return file.read(_HEAD), begin


def _finder(head: bytes, *, tagged: bool) -> FindParts | None:
    """What finds the parts of a file that begins like this; tagged: with an ID3 tag before."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return riff_parts
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return avi_parts
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return aiff_parts
    if head[4:8] == b"ftyp":
        return mp4_parts
    return mpeg_parts if is_mpeg(head) else _BY_MARK.get(head[:4], mpeg_parts if tagged else None)
