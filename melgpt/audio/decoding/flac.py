"""FLAC: joined files, and streams whose header states a wrong number of samples.

A recorder or a pipe that cannot go back leaves a number of samples that is 0 or a placeholder, and an edited
file may hold more than its header says. Every decoder stops there, so it is given a header without a number.
Format: RFC 9639.
"""

import re
from mmap import mmap
from pathlib import Path

from melgpt.audio.decoding.part import Part
from melgpt.audio.decoding.sizes import is_near_power

_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
"""Mark and first block header."""
_FIELDS = slice(18, 26)
"""Rate (20 bits), channels (3), sample size (5) and number of samples (36)."""
_COUNT_BITS = 36
_UNKNOWN = (1 << _COUNT_BITS) - 1


def flac_parts(path: Path, data: mmap, begin: int = 0) -> list[Part]:
    """The files that lie one after the other in a FLAC file, the first one at `begin`."""
    starts = [begin, *(match.start() for match in _BEGINNING.finditer(data, begin + 4))]
    return [_part(path, data, start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _part(path: Path, data: mmap, start: int, end: int | None) -> Part:
    before = data[start : start + _FIELDS.stop]
    if not _BEGINNING.match(before) or len(before) < _FIELDS.stop:
        return Part(path, start, end)  # a decoder shall say what is wrong
    fields = int.from_bytes(before[_FIELDS])
    count, rate = fields & _UNKNOWN, fields >> 44
    without = (fields & ~_UNKNOWN).to_bytes(8)
    known = count not in (0, _UNKNOWN) and rate and not is_near_power(count)
    return Part(
        path,
        start + _FIELDS.stop,
        end,
        before[: _FIELDS.start] + without,
        promised=count / rate if known else None,
    )
