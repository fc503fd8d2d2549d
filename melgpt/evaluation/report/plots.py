"""Plots as SVG in the colours of the page: measures with their intervals, and a histogram of distances."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melgpt.evaluation.report.markup import Markup, tag
from melgpt.evaluation.report.names import UNIT_RANGE, Figure, number, with_interval

WIDTH, SIDE = 340, 8
"""Width of a plot and its margin left and right, in SVG units."""
LINE, TRACK = 34, 24
"""Height of one entry, and where in it its line is drawn."""
LOG_FROM = 30
"""Positive values that lie further apart than this are shown on a logarithmic axis."""
BINS = 48
BAND = 0.05, 0.95
"""Quantiles between which the histogram has its band."""
HISTOGRAM = 130
"""Height of the histogram."""


@dataclass(frozen=True)
class Entry:
    """One line of a plot."""

    name: str
    figure: Figure
    role: str = "model"
    """floor, ceiling, model or control: the shape of its mark."""
    mark: float | None = None
    """A value to be held against: a tick on the same line."""


class Axis:
    """From values to places along a plot; logarithmic where values lie far apart."""

    def __init__(self, values: Sequence[float], measure: str = "", *, zero: bool = True) -> None:
        """zero: whether the axis begins at 0 where nothing lies below."""
        low, high = min(values), max(values)
        self.measure = measure
        self.log = zero and measure not in UNIT_RANGE and low > 0 and high / low > LOG_FROM
        if self.log:
            self.low, self.high = low / 1.2, high * 1.2
        else:
            self.low = min(0.0, low) if zero else low - 0.04 * (high - low)
            self.high = (
                max(1.0, high) if measure in UNIT_RANGE else (high or 1.0) + 0.04 * abs(high - self.low)
            )
        if self.high <= self.low:
            self.high = self.low + 1.0

    def place(self, value: float) -> float:
        """The x of a value; what lies outside is put at the edge."""
        low, high = (math.log(each) if self.log else each for each in (self.low, self.high))
        at = math.log(max(value, self.low)) if self.log else value
        return SIDE + (WIDTH - 2 * SIDE) * min(max((at - low) / (high - low), 0.0), 1.0)

    def ticks(self) -> list[float]:
        if self.log:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [10.0**power for power in powers]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 2))
        step *= next((times for times in (1, 2, 5) if (self.high - self.low) / (step * times) <= 4.5), 10)
        first = math.ceil(self.low / step - 1e-9)
        return [step * place for place in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def draw(self, bottom: float) -> list[Markup]:
        """Ticks and their numbers, and faint lines up from them."""
        parts = []
        for value in self.ticks():
            x = self.place(value)
            anchor = "start" if x < 20 else "end" if x > WIDTH - 20 else "middle"
            parts.append(tag("line", class_="grid", x1=x, x2=x, y1=4, y2=bottom))
            words = f"{100 * value:g} %" if number(1, self.measure).endswith("%") else f"{value:g}"
            parts.append(
                tag("text", words.replace("-", "−"), x=x, y=bottom + 13, text_anchor=anchor, class_="tick")
            )
        return parts


def intervals(entries: Sequence[Entry], measure: str, *, what: str, bars: bool = False) -> Markup:
    """One line an entry: its name and value above its mark and interval; with `bars`, a bar from 0 on."""
    values = [value for entry in entries for value in _values(entry)]
    axis = Axis(values, measure)
    bottom = LINE * len(entries) + 6
    parts = axis.draw(bottom)
    for place, entry in enumerate(entries):
        parts.append(_line(entry, axis, LINE * place, bars=bars and not axis.log))
    if axis.log:
        words = "logarithmic axis"
        parts.append(tag("text", words, x=WIDTH - SIDE, y=bottom + 26, text_anchor="end", class_="tick"))
    return _svg(parts, bottom + (30 if axis.log else 18), what)


def _values(entry: Entry) -> list[float]:
    found = [entry.figure.get(end) for end in ("value", "low", "high")] + [entry.mark]
    return [value for value in found if value is not None]


def _line(entry: Entry, axis: Axis, top: float, *, bars: bool) -> Markup:
    y, value = top + TRACK, entry.figure["value"]
    x = axis.place(value)
    low, high = entry.figure.get("low"), entry.figure.get("high")
    parts = [
        tag("title", f"{entry.name}: {with_interval(entry.figure, axis.measure)}"),
        tag("text", _short(entry.name), x=SIDE, y=top + 14),
        tag(
            "text", number(value, axis.measure), x=WIDTH - SIDE, y=top + 14, text_anchor="end", class_="value"
        ),
    ]
    if bars:
        start = axis.place(0)
        left, width = min(start, x), abs(x - start)
        parts.append(tag("rect", class_="bar", x=left, y=y - 3, width=max(width, 0.5), height=6))
    if low is not None and high is not None:
        parts.append(tag("line", class_="span", x1=axis.place(low), x2=axis.place(high), y1=y, y2=y))
    if entry.mark is not None:
        at = axis.place(entry.mark)
        parts.append(tag("line", class_="mark", x1=at, x2=at, y1=y - 6, y2=y + 6))
    parts.append(symbol(entry.role, x, y))
    return tag("g", *parts, class_=f"entry {entry.role}")


def _short(name: str, most: int = 42) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def symbol(role: str, x: float, y: float) -> Markup:
    """The mark of a role: a dot for the model, a ring, a diamond and a square for what it is held against."""
    if role == "floor":
        return tag("circle", class_="dot", cx=x, cy=y, r=4)
    if role == "ceiling":
        return tag("path", class_="dot", d=f"M{x:.2f} {y - 5:.2f}l5 5l-5 5l-5-5z")
    if role == "control":
        return tag("rect", class_="dot", x=x - 3.5, y=y - 3.5, width=7, height=7)
    return tag("circle", class_="dot", cx=x, cy=y, r=4.5)


def distances(
    generated: Sequence[float], flagged: Sequence[bool], quantiles: dict[str, float], *, what: str
) -> Markup:
    """A histogram of generated clips' distances over the range of what held-out clips have."""
    known = sorted((float(share), value) for share, value in quantiles.items() if value is not None)
    axis = Axis([*generated, *(value for _, value in known)], zero=False)
    edges = np.linspace(axis.low, axis.high, BINS + 1)
    all_counts, _ = np.histogram(generated, edges)
    bad_counts, _ = np.histogram([d for d, bad in zip(generated, flagged, strict=True) if bad], edges)
    top, bottom = 22, HISTOGRAM
    parts = axis.draw(bottom)
    if any(BAND[0] <= share <= BAND[1] for share, _ in known):
        parts += _test_range(axis, known, top, bottom)
    tallest = max(int(all_counts.max(initial=0)), 1)
    for left, right, count, bad in zip(edges[:-1], edges[1:], all_counts, bad_counts, strict=True):
        if count:
            x, width = axis.place(left) + 0.5, axis.place(right) - axis.place(left) - 1
            unit = (bottom - top - 6) / tallest
            title = tag("title", f"{number(left)} to {number(right)}: {count} clips, {bad} flagged")
            good = tag("rect", class_="bar", x=x, y=bottom - unit * count, width=width, height=unit * count)
            red = tag("rect", class_="flagged", x=x, y=bottom - unit * bad, width=width, height=unit * bad)
            parts.append(tag("g", title, good, red if bad else None))
    parts.append(tag("line", class_="base", x1=SIDE, x2=WIDTH - SIDE, y1=bottom, y2=bottom))
    return _svg(parts, bottom + 18, what)


def _test_range(axis: Axis, known: list[tuple[float, float]], top: float, bottom: float) -> list[Markup]:
    """The band between two outer quantiles, a line at the median, and what they are."""
    middle = [(share, value) for share, value in known if BAND[0] <= share <= BAND[1]]
    first, last = middle[0], middle[-1]
    left, right = axis.place(first[1]), axis.place(last[1])
    shares = f"{100 * first[0]:g} to {100 * last[0]:g} %"
    parts = [
        tag("rect", class_="band", x=left, y=top - 6, width=max(right - left, 1), height=bottom - top + 6)
    ]
    if 0.5 in dict(known):
        at = axis.place(dict(known)[0.5])
        parts.append(tag("line", class_="mark", x1=at, x2=at, y1=top - 6, y2=bottom))
    x = min(max((left + right) / 2, 80), WIDTH - 80)
    parts.append(tag("text", f"held-out clips, {shares}", x=x, y=11, text_anchor="middle", class_="tick"))
    return parts


def _svg(parts: list[Markup], height: float, what: str) -> Markup:
    return tag("svg", *parts, class_="plot", viewBox=f"0 0 {WIDTH} {height:g}", role="img", aria_label=what)
