"""Measures of several reports side by side, and which differences are larger than chance.

The test: the 95 % intervals that the reports hold give a standard error each, a z test the two-sided p of a
difference, and Holm's procedure (1979, https://www.jstor.org/stable/4615733) raises the p of all tests
together. That two reports on one set of real clips vary together is left out: it errs on the safe side.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from melgpt.errors import UserError, closest
from melgpt.evaluation.report.names import SHARES, Figure, inside_a_sentence, number, title
from melgpt.evaluation.report.rows import Row, figure_of, higher_is_better, measures_of, rows_of
from melgpt.evaluation.report.stored import Stored

LEVEL = 0.05
"""p from which on a difference is taken for chance."""
Z_OF_95 = 1.959964
FREE = frozenset({"seed", "sampling"})
"""Parts of the protocol that belong to the model that is judged, not to how it is judged."""
_EARS = "the extractor's fingerprint", "the listeners' fingerprints"


@dataclass(frozen=True)
class Verdict:
    """That report `better` beats report `worse` in one measure (by place), with the p raised by Holm."""

    better: int
    worse: int
    p: float


@dataclass(frozen=True)
class Line:
    """One measure of all reports: their figures, None where a report lacks it, and the verdicts."""

    group: str
    measure: str
    higher: bool
    figures: tuple[Figure | None, ...]
    clips: tuple[int | None, ...] = ()
    """How many clips each figure is of, where that is known."""
    verdicts: tuple[Verdict, ...] = ()
    tested: bool = False


def judged_row(report: Stored, name: str | None = None) -> Row:
    """The row of a report that is compared: the one of this name, or the first of the model."""
    rows = rows_of(report.result, "model") if name is None else report.result["rows"]
    found = next((row for row in rows if name in (None, row["name"])), None)
    if found is None:
        names = [row["name"] for row in report.result["rows"]]
        what = "row of a model" if name is None else f"row '{name}'"
        raise UserError(f"{report.folder} has no {what}{closest(name or '', names)}")
    return found


def disagreements(reports: Sequence[Stored]) -> list[str]:
    """Why the reports cannot be held against each other, one sentence each; nothing where they can."""
    first, *others = reports
    found = []
    for place, other in enumerate(others, 2):
        ours, theirs = (_conditions(report.result) for report in (first, other))
        names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        for name in names:
            remedy = "; evaluate both with the same --listeners" if name in _EARS else ""
            found.append(f"1 and {place} differ in {name}: {ours.get(name)} and {theirs.get(name)}{remedy}")
    return found


def _conditions(result: dict[str, Any]) -> dict[str, Any]:
    """All that must be equal for measures to be comparable."""
    protocol = {name: value for name, value in (result.get("protocol") or {}).items() if name not in FREE}
    extractor = protocol.pop("extractor", None) or {}
    listeners = [each.get("fingerprint") for each in result.get("listeners") or []]
    return {
        "the data's fingerprint": (result.get("data") or {}).get("fingerprint"),
        **{f"the protocol's {name}": value for name, value in protocol.items()},
        _EARS[0]: extractor.get("fingerprint"),
        _EARS[1]: ", ".join(sorted(map(str, listeners))),
    }


def compare(reports: Sequence[Stored], rows: Sequence[Row]) -> list[Line]:
    """All measures side by side, with verdicts where the reports are comparable."""
    lines = _side_by_side(reports, rows)
    return lines if disagreements(reports) else _judge(lines)


def _side_by_side(reports: Sequence[Stored], rows: Sequence[Row]) -> list[Line]:
    first = reports[0].result
    groups: list[tuple[str, list[Row]]] = [("generated sounds", list(rows))]
    ladders = [{each["stage"]: each for each in report.result.get("ladder") or []} for report in reports]
    for stage in dict.fromkeys(name for ladder in ladders for name in ladder):
        if stage == "generated":
            continue  # its measures are those of the generated sounds
        members = [ladder.get(stage, {}) for ladder in ladders]
        if any(each != members[0] for each in members):  # a part that they share has nothing to compare
            groups.append((f"ladder: {stage}", members))
    for part in ("codec", "prior"):
        values = [report.result.get(part) or {} for report in reports]
        groups.append((part, [{"measures": {k: {"value": v} for k, v in each.items()}} for each in values]))
    return [
        Line(
            group,
            name,
            higher_is_better(first, name),
            tuple(figure_of(row, name) for row in members),
            tuple(row.get("clips") for row in members),
        )
        for group, members in groups
        for name in measures_of(members)
    ]


def _judge(lines: list[Line]) -> list[Line]:
    """The same lines with the verdicts that stand after Holm's procedure over all of them."""
    tests = [
        (place, pair, p)
        for place, line in enumerate(lines)
        for pair in combinations(range(len(line.figures)), 2)
        if (p := _p(line, pair)) is not None
    ]
    raised = holm([p for *_, p in tests])
    verdicts: dict[int, list[Verdict]] = {}
    for (place, (left, right), _), p in zip(tests, raised, strict=True):
        stand = verdicts.setdefault(place, [])
        if p < LEVEL:
            values = [(lines[place].figures[each] or {})["value"] for each in (left, right)]
            left_wins = (values[0] > values[1]) == lines[place].higher
            stand.append(Verdict(*((left, right) if left_wins else (right, left)), p))
    return [
        replace(line, verdicts=tuple(verdicts.get(place, ())), tested=place in verdicts)
        for place, line in enumerate(lines)
    ]


def _of_few(line: Line, place: int) -> Figure | None:
    """A figure as it is tested: a share with one clip more on either side (Agresti and Caffo 2000).

    Drawing clips again gives no width to none of 24, which 3 of the next 24 would still agree with.
    """
    figure, clips = line.figures[place], line.clips[place]
    if figure is None or not clips or line.measure not in SHARES or figure.get("low") is None:
        return figure
    share = (clips * figure["value"] + 1) / (clips + 2)
    half = Z_OF_95 * math.sqrt(share * (1 - share) / (clips + 2))
    below, above = figure["value"] - figure["low"], figure["high"] - figure["value"]
    return {"value": share, "low": share - max(half, below), "high": share + max(half, above)}


def _p_of(first: Figure | None, second: Figure | None) -> float | None:
    """Two-sided p of a difference; of each interval the half that faces the other value counts.

    None where an interval is missing or has no width: it then says nothing about chance.
    """
    if first is None or second is None:
        return None
    upper, lower = (first, second) if first["value"] >= second["value"] else (second, first)
    if upper.get("low") is None or lower.get("high") is None:
        return None
    errors = [(upper["value"] - upper["low"]) / Z_OF_95, (lower["high"] - lower["value"]) / Z_OF_95]
    spread = math.hypot(*errors)
    if min(errors) < 0 or spread == 0:
        return None
    return math.erfc((upper["value"] - lower["value"]) / spread / math.sqrt(2))


def holm(values: Sequence[float]) -> list[float]:
    """p values raised for being several (Holm 1979), in the given order."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    raised, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        raised[place] = highest
    return raised


def summary(reports: Sequence[Stored], lines: Sequence[Line]) -> str:
    """One sentence: who is better in how many measures."""
    if disagreements(reports):
        return "The reports were not made under the same conditions: no winner is named."
    tested = [line for line in lines if line.tested]
    if not tested:
        return "No measure has intervals in two of the reports: no difference could be tested."
    wins = {
        place: sum(any(v.better == place for v in line.verdicts) for line in tested)
        for place in range(len(reports))
    }
    if not any(wins.values()):
        return _nothing_proven(tested)
    named = [f"{place + 1} ({report.name})" for place, report in enumerate(reports)]
    winners = [place for place, count in wins.items() if count]
    if len(winners) == 1:
        (winner,) = winners
        return f"{named[winner]} is better in {wins[winner]} of {len(tested)} measures tested, worse in none."
    parts = [f"{named[place]} in {count}" for place, count in wins.items()]
    return f"Of {len(tested)} measures tested, better than another report: {', '.join(parts)}."


def _nothing_proven(tested: Sequence[Line]) -> str:
    """How many clips were too few, and where the reports lie furthest apart for their intervals."""
    apart = {
        place: min(
            p for pair in combinations(range(len(line.figures)), 2) if (p := _p(line, pair)) is not None
        )
        for place, line in enumerate(tested)
    }
    place = min(apart, key=lambda each: apart[each])
    if apart[place] == 1:
        return f"No difference in any of the {len(tested)} measures tested."
    line = tested[place]
    values = " against ".join(number((each or {}).get("value"), line.measure) for each in line.figures)
    clips = sorted({count for each in tested for count in each.clips if count})
    few = f" with {' to '.join(map(str, dict.fromkeys([clips[0], clips[-1]])))} clips each" if clips else ""
    where = "" if line.group == "generated sounds" else f" ({line.group})"
    return (
        f"No difference is proven{few}, in none of the {len(tested)} measures tested. The largest is in "
        f"{inside_a_sentence(title(line.measure))}{where}: {values}. Evaluate with a larger -n."
    )


def _p(line: Line, pair: tuple[int, int]) -> float | None:
    """p of the difference of two reports in one measure, not raised."""
    return _p_of(*(_of_few(line, each) for each in pair))
