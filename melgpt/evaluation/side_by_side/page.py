"""The page of a comparison: warnings, the measures side by side, what was preferred by ear."""

from collections.abc import Sequence
from typing import Any

from melgpt.evaluation.report import tables
from melgpt.evaluation.report.markup import Markup, document, join, tag
from melgpt.evaluation.report.names import title
from melgpt.evaluation.report.page import SCRIPT, STYLE
from melgpt.evaluation.report.rows import Row
from melgpt.evaluation.report.stored import Stored
from melgpt.evaluation.side_by_side.differences import LEVEL, Line, disagreements, summary
from melgpt.evaluation.side_by_side.listening import PAGE as LISTEN_PAGE
from melgpt.evaluation.side_by_side.votes import Preference, in_words


def page(
    reports: Sequence[Stored],
    rows: Sequence[Row],
    lines: Sequence[Line],
    preferred: Sequence[Preference],
    *,
    pairs: int,
) -> str:
    """The whole page as HTML; `pairs` is how many the listening page has."""
    warnings = disagreements(reports)
    names = " and ".join(report.name for report in reports)
    body = join(
        tag("header", tag("p", "Comparison", class_="kicker"), tag("h1", names)),
        tag(
            "main",
            tag("section", tag("h2", "In plain words"), _words(reports, lines, warnings)),
            tag("section", tag("h2", "Reports"), _reports(reports, rows)),
            tag("section", tag("h2", "By ear"), _by_ear(reports, preferred, pairs)),
            tag("section", tag("h2", "Measures side by side"), *_groups(reports, lines), class_="aligned"),
            tag("section", tag("h2", "How differences are tested"), _how()),
        ),
    )
    return document(f"Comparison of {names}", body, styles=[STYLE], script=SCRIPT)


def _words(reports: Sequence[Stored], lines: Sequence[Line], warnings: Sequence[str]) -> Markup:
    items = [tag("li", warning) for warning in warnings]
    return join(
        tag("p", summary(reports, lines), class_="lead"),
        tag("ul", *items, class_="warnings") if items else None,
    )


def _reports(reports: Sequence[Stored], rows: Sequence[Row]) -> Markup:
    heads = ("Report", "Model", "Folder", "Sounds", "Clips", "Seed", "Sampling")
    lines = []
    for place, (report, row) in enumerate(zip(reports, rows, strict=True), 1):
        protocol: dict[str, Any] = report.result.get("protocol") or {}
        sampling = protocol.get("sampling") or {}
        lines.append(
            [
                tables.words(str(place)),
                tables.words(report.name),
                tables.words(str(report.folder)),
                tables.words(row["name"]),
                tables.count(row.get("clips")),
                tables.count(protocol.get("seed")),
                tables.words(", ".join(f"{name} {value}" for name, value in sampling.items())),
            ]
        )
    return tables.sortable([tables.Column(head) for head in heads], lines, caption="What is compared")


def _by_ear(reports: Sequence[Stored], preferred: Sequence[Preference], pairs: int) -> Markup:
    names = [f"{place} ({report.name})" for place, report in enumerate(reports, 1)]
    link = tag("a", "the listening page", href=LISTEN_PAGE)
    there = tag("p", f"{pairs} pairs of sounds are on ", link, ".") if pairs else None
    if not preferred:
        return there or tag("p", "The reports have no sounds of a common label.")
    return join(*(tag("p", in_words(each, names)) for each in preferred), there)


def _groups(reports: Sequence[Stored], lines: Sequence[Line]) -> list[Markup]:
    """One table a group of measures: a line a measure, a column a report, and which differences stand."""
    found = []
    for group in dict.fromkeys(line.group for line in lines):
        mine = [line for line in lines if line.group == group]
        columns = [tables.Column("Measure")]
        columns += [tables.Column(f"{n} {report.name}") for n, report in enumerate(reports, 1)]
        columns.append(tables.Column("Difference", meaning=f"named where p is below {LEVEL}"))
        cells = [
            [
                tables.words(title(line.measure)),
                *(tables.figure(figure, line.measure) for figure in line.figures),
                tables.words(verdict(line)),
            ]
            for line in mine
        ]
        found.append(tables.sortable(columns, cells, caption=group[:1].upper() + group[1:]))
    return found


def verdict(line: Line) -> str:
    """Which report beats which in a measure, in a few words."""
    if not line.tested:
        return "not tested"
    if not line.verdicts:
        return "none shown"
    return ", ".join(f"{v.better + 1} is better than {v.worse + 1}, p = {v.p:.2g}" for v in line.verdicts)


def _how() -> Markup:
    return tag(
        "p",
        "Every report holds 95 % intervals. A z test on them gives the p of each difference, Holm's "
        f"procedure raises it for the number of tests, and below {LEVEL} a difference is called one. "
        "Shares are tested with one clip more on either side (Agresti and Caffo). "
        "Measures without intervals are not tested. Where data or protocol differ, nothing is tested and "
        "no winner is named.",
        class_="quiet",
    )
