"""Time and peak memory of `prepare` behind the decoding, for many short made-up clips.

The peak includes pages of the mapped mels that were compared, which the system takes back when it is short of
memory. This file stays without torch: see `memory.Command`.
"""

from collections.abc import Iterator

from benchmarks.machine import Machine
from benchmarks.measure import Row, row
from benchmarks.memory import Command

SIZES = (1_000, 10_000, 100_000)


def rows(machine: Machine, quick: bool) -> Iterator[Row]:
    """A row a size."""
    for clips in SIZES[: 2 if quick else None]:
        way = Command(["-m", "benchmarks.made_up_clips", str(clips)])
        yield row(f"prepare {clips} made-up clips, behind the decoding", {"ours": way}, 1)
