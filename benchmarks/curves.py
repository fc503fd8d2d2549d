"""Time against work: points measured in turns, and the line through them, whose distance shows a bend."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.measure import Line, Point, Row, Way, in_turns

CLOCK = 0.01
"""Seconds between two ticks of the CPU clock: of shorter work it says nothing."""


@dataclass(frozen=True)
class Curve:
    """What is measured, and how its rows are named."""

    name: str
    axis: str
    """What grows, with its unit."""
    at: str
    """A place on it in a row's name: "batch {:g}"."""
    tokens: int = 0
    """Tokens in each unit of the axis: its rows tell tokens/s; 0: they tell seconds."""

    def rows(self, ways: Mapping[float, Way], rounds: int) -> Iterator[Row]:
        """A row a point, ways by their x, then one for the line; first the smallest runs, not counted."""
        ways[min(ways)]()
        times = in_turns({str(x): way for x, way in ways.items()}, rounds, warm_up=False)
        points = []
        for x, each in zip(ways, times.values(), strict=True):
            points.append(Point(self.name, self.axis, x, each.median, median(each.cpu_seconds)))
            yield Row(
                f"{self.name}: {'tokens/s' if self.tokens else 'time'} at {self.at.format(x)}",
                plain=None,
                ours=x * self.tokens / each.median if self.tokens else each.median,
                spread=each.spread,
                unit="tokens/s" if self.tokens else "s",
                peak_mib=each.peak_mib,
                device_peak_mib=each.device_peak_mib,
                point=points[-1],
            )
        yield self._line_row(points)

    def _line_row(self, points: Sequence[Point]) -> Row:
        xs = [p.x for p in points]
        start, slope, deviation = fit(xs, [p.seconds for p in points])
        cpu = fit(xs, [max(p.cpu_seconds, CLOCK) for p in points])[2]
        return Row(
            f"{self.name}: largest deviation from a line",
            plain=None,
            ours=deviation,
            unit="of the time",
            note=f"{self.name}: seconds = {start:.3g} + {slope:.3g} · {self.axis}, within {deviation:.0%} "
            f"(CPU time within {cpu:.0%})",
            line=Line(self.name, self.axis, start, slope, deviation, cpu),
        )


def fit(xs: Sequence[float], seconds: Sequence[float]) -> tuple[float, float, float]:
    """(start, slope, deviation): seconds ≈ start + slope * x, and the largest |line - seconds| / seconds.

    Least squares of the relative distances: of the absolute ones the longest point would settle all.
    """
    x, t = np.asarray(xs, float), np.asarray(seconds, float)
    terms = np.stack([1 / t, x / t], axis=1)
    (start, slope), *_ = np.linalg.lstsq(terms, np.ones_like(t), rcond=None)
    return float(start), float(slope), float(np.abs(terms @ (start, slope) - 1).max())
