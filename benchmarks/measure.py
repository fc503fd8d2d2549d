"""Timing in turns, and what a row of the results holds."""

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.memory import Command, device_peak_mib, forget_peak, peak_mib
from melgpt.pages import kept_pages

Way = Callable[[], object]


@dataclass(frozen=True)
class Point:
    """A row's place on a curve of cost against work."""

    curve: str
    axis: str
    """What grows, with its unit."""
    x: float
    seconds: float
    cpu_seconds: float
    """Of all threads and ended processes: other work on the machine hardly changes it."""


@dataclass(frozen=True)
class Line:
    """seconds = start + slope * x, fitted to a curve, and the largest relative distance from it."""

    curve: str
    axis: str
    start: float
    slope: float
    deviation: float
    cpu_deviation: float
    """The same of the line through the CPU seconds: a bend that is the program's shows in both."""


@dataclass(frozen=True)
class Row:
    """One subject: the median seconds of each way, the machine's own limit for that work, and the spread."""

    name: str
    plain: float | None
    """The originals' way: float32, no cache, nothing compiled."""
    ours: float
    alternative: float | None = None
    """What a user would pick instead."""
    limit: float | None = None
    """Seconds that the machine needs at the least, from its own speed as measured in the same run."""
    spread: float = 0.0
    """Of ours: (slowest - fastest) / median over the rounds."""
    unit: str = "s"
    """Of all figures above."""
    note: str = ""
    peak_mib: float | None = None
    """Largest resident memory while ours ran, with the interpreter and the libraries."""
    device_peak_mib: float | None = None
    """Most memory on a CUDA device while ours ran."""
    point: Point | None = None
    line: Line | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the plain way."""
        return None if self.plain is None else self.plain / self.ours

    @property
    def fraction_of_limit(self) -> float | None:
        """1 is as fast as the machine can be."""
        return None if self.limit is None else self.limit / self.ours

    def plain_values(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "ratio": self.ratio, "fraction_of_limit": self.fraction_of_limit}


@dataclass
class Times:
    """Seconds of each round of a way, and its peak memory."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    device_peak_mib: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        return (max(self.seconds) - min(self.seconds)) / self.median


def in_turns(ways: dict[str, Way], rounds: int, *, warm_up: bool = True) -> dict[str, Times]:
    """Time each way once a round, in alternating order, after one round that does not count.

    Ours keeps its pages, as the commands do, and has them when it is timed; the other ways have what the C
    library does by itself.
    """
    times = {name: Times() for name in ways}
    for round_ in range(0 if warm_up else 1, rounds + 1):
        order = list(ways) if round_ % 2 else list(reversed(ways))
        for name in order:
            gc.collect()
            forget_peak()
            here = name == "ours" and not isinstance(ways[name], Command)
            with kept_pages() if here else nullcontext():
                if here and round_:
                    ways[name]()
                cpu = _cpu_seconds()
                seconds = timed(ways[name])
                if round_:
                    times[name].seconds.append(seconds)
                    times[name].cpu_seconds.append(_cpu_seconds() - cpu)
                _note_peak(times[name], ways[name])
    return times


def timed(work: Way) -> float:
    """Seconds of work, up to its end on the device."""
    synchronise()
    start = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - start


def fastest(work: Way, rounds: int) -> float:
    """Seconds of the best round: what the machine can do."""
    return min(timed(work) for _ in range(rounds))


def synchronise() -> None:
    """Wait for what a GPU still does, in a process that uses one."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


def row(name: str, ways: dict[str, Way], rounds: int, *, limit: float | None = None, note: str = "") -> Row:
    """A row from the ways `plain`, `ours` and, if any, `alternative`."""
    return row_of(name, in_turns(ways, rounds), limit=limit, note=note)


def row_of(
    name: str,
    times: dict[str, Times],
    *,
    plain: float | None = None,
    limit: float | None = None,
    note: str = "",
) -> Row:
    """A row from times; plain: seconds, where that way was not among them."""
    return Row(
        name,
        plain=times["plain"].median if "plain" in times else plain,
        ours=times["ours"].median,
        alternative=times["alternative"].median if "alternative" in times else None,
        limit=limit,
        spread=times["ours"].spread,
        note=note,
        peak_mib=times["ours"].peak_mib,
        device_peak_mib=times["ours"].device_peak_mib,
    )


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def _note_peak(times: Times, way: Way) -> None:
    peak = way.peak_mib if isinstance(way, Command) else peak_mib()
    times.peak_mib = max(times.peak_mib, peak)
    times.device_peak_mib = device_peak_mib()
