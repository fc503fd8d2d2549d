"""Files of boxes with sizes: MP4 and its kin (ISO/IEC 14496-12), and AVI: joined ones, and a cut end."""

from collections.abc import Iterator
from dataclasses import replace
from mmap import mmap
from pathlib import Path

from melgpt.audio.decoding.marks import between
from melgpt.audio.decoding.part import Part
from melgpt.audio.decoding.sizes import is_near_power

_LARGEST_REST = 1 << 9
"""Bytes of no box that are not worth a finding, such as a tag."""


def mp4_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The files one after the other in an MP4 file; each begins with a box `ftyp`."""
    boxes = list(_boxes(data, begin))
    parts = between(path, [place for place, name, _ in boxes if name == b"ftyp"])
    place, name, size = boxes[-1]
    if not all(32 <= byte < 127 for byte in name):
        rest = len(data) - place
        words = f"{rest} bytes behind the last box are not read" if rest > _LARGEST_REST else ""
        parts[-1] = replace(parts[-1], end=place, damage=words)
    else:
        parts[-1] = replace(parts[-1], cut=place + size > len(data))
    return parts


def avi_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The one file in an AVI file, and whether it is shorter than its header says."""
    size = int.from_bytes(data[begin + 4 : begin + 8], "little")
    cut = begin + 8 + size > len(data) and not is_near_power(size)
    return [Part(path, begin, cut=cut)]


def _boxes(data: mmap, place: int) -> Iterator[tuple[int, bytes, int]]:
    """First byte, name and size of each box at the top."""
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if size == 0:  # up to the end of the file
            size = len(data) - place
        yield place, data[place + 4 : place + 8], size
        if size < 8:
            return
        place += size
