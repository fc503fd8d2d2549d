"""What is asked of a result: its rows by role, its measures, what a measure is held against."""

from typing import Any

from melgpt.evaluation.report.names import Figure

Result = dict[str, Any]
Row = dict[str, Any]
HIGHER = frozenset(
    {"accuracy", "cas", "precision", "recall", "density", "coverage", "vendi", "inception_score"}
)
"""Measures that are better when higher, where a result does not say."""


def rows_of(result: Result, *roles: str) -> list[Row]:
    return [row for row in result.get("rows") or [] if row.get("role") in roles]


def model_row(result: Result) -> Row | None:
    """The first row of the model itself."""
    return next(iter(rows_of(result, "model")), None)


def value_of(row: Row | None, measure: str) -> float | None:
    figure = figure_of(row, measure)
    return None if figure is None else float(figure["value"])


def figure_of(row: Row | None, measure: str) -> Figure | None:
    """A measure of a row or stage, None where it does not apply or is no number."""
    figure = (row or {}).get("measures", {}).get(measure)
    return figure if figure and figure.get("value") is not None else None


def higher_is_better(result: Result, measure: str) -> bool:
    said = (result.get("directions") or {}).get(measure)
    return measure in HIGHER if said is None else said == "higher"


def reference(result: Result, measure: str) -> Row | None:
    """What real sounds reach: the first floor row that has the measure, else the best ceiling row."""
    floors = [row for row in rows_of(result, "floor") if figure_of(row, measure)]
    sign = 1 if higher_is_better(result, measure) else -1
    ceilings = [row for row in rows_of(result, "ceiling") if figure_of(row, measure)]
    ceilings.sort(key=lambda row: -sign * (value_of(row, measure) or 0))
    return next(iter(floors + ceilings), None)


def ceiling(result: Result, measure: str) -> Row | None:
    """What the prior could reach: the last ceiling row (codec and vocoder), else `reference`."""
    rows = [row for row in rows_of(result, "ceiling") if figure_of(row, measure)]
    return rows[-1] if rows else reference(result, measure)


def measures_of(rows: list[Row]) -> list[str]:
    """Names of all measures that a row or stage has a number of, in the order in which they first appear."""
    names = (name for row in rows for name in row.get("measures") or {} if figure_of(row, name))
    return list(dict.fromkeys(names))


def overlap(first: Figure, second: Figure) -> bool | None:
    """Whether two intervals meet; None where one of them has none."""
    ends = (first.get("low"), first.get("high"), second.get("low"), second.get("high"))
    low, high, other_low, other_high = (None if end is None else float(end) for end in ends)
    if low is None or high is None or other_low is None or other_high is None:
        return None
    return low <= other_high and other_low <= high
