"""The curves of cost against work as pictures: one a kind of work, from rows as JSON has them."""

from pathlib import Path
from typing import Any

import numpy as np

COLOURS = ("#2b6cb0", "#c05621", "#2f855a")


def plot(rows: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Write growth-AXIS.png for each axis among the rows' points; returns the paths."""
    points = [row["point"] for row in rows if row["point"]]
    lines = {row["line"]["curve"]: row["line"] for row in rows if row["line"]}
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for axis in dict.fromkeys(point["axis"] for point in points):
        paths.append(folder / f"growth-{axis.replace(' ', '-')}.png")
        _draw([point for point in points if point["axis"] == axis], lines, axis, paths[-1])
    return paths


def _draw(points: list[dict[str, Any]], lines: dict[str, dict[str, Any]], axis: str, path: Path) -> None:
    """Left the time, right the time of one unit, which falls to a level where the cost is a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    whole, each = figure.subplots(1, 2)
    for number, curve in enumerate(dict.fromkeys(point["curve"] for point in points)):
        colour = COLOURS[number % len(COLOURS)]
        x = np.array([point["x"] for point in points if point["curve"] == curve])
        seconds = np.array([point["seconds"] for point in points if point["curve"] == curve])
        line = lines[curve]
        whole.plot(x, seconds, "o", color=colour, label=curve)
        fitted = line["start"] + line["slope"] * x
        whole.plot(x, fitted, "--", color=colour, label=_words(line))
        each.plot(x, 1e3 * seconds / x, "o-", color=colour)
    whole.set(xscale="log", yscale="log", xlabel=axis, ylabel="time (s)")
    each.set(xscale="log", ylim=(0, None), xlabel=axis, ylabel=f"time for each of the {axis} (ms)")
    whole.legend(fontsize=7)
    places = sorted({point["x"] for point in points})
    for axes in (whole, each):
        axes.set_xticks(places, [f"{x:g}" for x in places])
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.2)
    figure.savefig(path)


def _words(line: dict[str, Any]) -> str:
    return f"a line, within {line['deviation']:.0%} (CPU time {line['cpu_deviation']:.0%})"
