"""Timing in turns, and what a row of the results holds."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Way = Callable[[], object]


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
    note: str = ""

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
        return {
            "name": self.name,
            "plain": self.plain,
            "ours": self.ours,
            "alternative": self.alternative,
            "unit": self.unit,
            "ratio": self.ratio,
            "limit": self.limit,
            "fraction_of_limit": self.fraction_of_limit,
            "spread": self.spread,
            "note": self.note,
        }


@dataclass(frozen=True)
class Times:
    """Seconds of each round of a way."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        return (max(self.seconds) - min(self.seconds)) / self.median


def in_turns(ways: dict[str, Way], rounds: int) -> dict[str, Times]:
    """Time each way once a round, in alternating order, after one round that does not count."""
    times = {name: Times() for name in ways}
    for round_ in range(rounds + 1):
        order = list(ways) if round_ % 2 else list(reversed(ways))
        for name in order:
            gc.collect()
            start = time.perf_counter()
            ways[name]()
            if round_:
                times[name].seconds.append(time.perf_counter() - start)
    return times


def row(name: str, ways: dict[str, Way], rounds: int, *, limit: float | None = None, note: str = "") -> Row:
    """A row from the ways `plain`, `ours` and, if any, `alternative`."""
    times = in_turns(ways, rounds)
    return Row(
        name,
        plain=times["plain"].median if "plain" in times else None,
        ours=times["ours"].median,
        alternative=times["alternative"].median if "alternative" in times else None,
        limit=limit,
        spread=times["ours"].spread,
        note=note,
    )
