"""The page of a report: its sections in order, from what to know first to how it was measured."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from melgpt.evaluation.report import tables
from melgpt.evaluation.report.copies import copies
from melgpt.evaluation.report.markup import Markup, document, join, tag
from melgpt.evaluation.report.names import number, title
from melgpt.evaluation.report.players import Card, card
from melgpt.evaluation.report.plots import Entry, intervals, symbol
from melgpt.evaluation.report.reading import headline, read
from melgpt.evaluation.report.rows import (
    Result,
    Row,
    ceiling,
    figure_of,
    higher_is_better,
    measures_of,
    model_row,
)
from melgpt.evaluation.shown import NEAREST

STYLE, SCRIPT = (Path(__file__).with_name(f"page.{kind}") for kind in ("css", "js"))
OPEN_LABELS = 12
"""With more labels than this, the sounds of each are folded away until they are asked for."""
OPEN_CLASSES = 20
ROLES = {
    "model": "the model",
    "ceiling": "ceiling: how good it could be",
    "floor": "floor: real sounds against real ones",
    "control": "control: copies, noise and the like, for scale",
}


def page(result: Result, cards: Sequence[Card]) -> str:
    """The whole page as HTML; the sounds are read from the files of the cards."""
    sections = [
        ("reading", "In plain words", _reading(result)),
        ("listen", "Listen", _listen(cards)),
        ("measures", "Measures", _measures(result)),
        ("ladder", "Where the sound loses", _ladder(result)),
        ("classes", "Class by class", _classes(result)),
        ("copies", "Copies of training clips?", copies(result, cards)),
        ("parts", "Codec, prior and listeners", _parts(result)),
        ("protocol", "How it was measured", _protocol(result)),
    ]
    present = [section for section in sections if section[2]]
    links = [tag("a", head, href=f"#{name}") for name, head, _ in present]
    body = [
        _header(result),
        tag("nav", *links, aria_label="Sections"),
        tag("main", *(tag("section", tag("h2", head), what, id=name) for name, head, what in present)),
        tag(
            "footer", f"Written by melgpt {result.get('melgpt', '')}; this page loads nothing from elsewhere."
        ),
    ]
    name = (result.get("model") or {}).get("name") or "model"
    return document(f"{name}: evaluation", join(*body), styles=[STYLE], script=SCRIPT)


def _header(result: Result) -> Markup:
    data, model, protocol = (result.get(part) or {} for part in ("data", "model", "protocol"))
    labels = model.get("labels") or []
    facts = [
        f"{data['name']}" if data.get("name") else "",
        f"{protocol['clips']} clips" if protocol.get("clips") else "",
        f"{len(labels)} labels" if labels else "",
        f"held against the {protocol['split']} split" if protocol.get("split") else "",
    ]
    return tag(
        "header",
        tag("p", "Evaluation", class_="kicker"),
        tag("h1", model.get("name") or "model"),
        tag("p", " · ".join(fact for fact in facts if fact), class_="quiet"),
    )


def _reading(result: Result) -> Markup:
    items = [
        tag(
            "li",
            tag("p", tag("strong", finding.what)),
            tag("p", finding.advice),
            tag("p", f"Rule: {finding.when}", class_="quiet rule"),
        )
        for finding in read(result)
    ]
    nothing = tag("p", "None of the rules found something weak. Listen all the same.")
    return join(tag("p", headline(result), class_="lead"), tag("ol", *items) if items else nothing)


def _listen(cards: Sequence[Card]) -> Markup | None:
    heard = [each for each in cards if each.row != NEAREST and not each.picked]
    labels = list(dict.fromkeys(each.label for each in heard))
    groups = []
    for label in labels:
        mine = [each for each in heard if each.label == label]
        lines = [tag("div", *map(card, line), class_="sounds") for line in _lines(mine)]
        head = tag("summary", tag("h3", label or "without a label"))
        groups.append(tag("details", head, *lines, open=len(labels) <= OPEN_LABELS))
    return join(*groups) if groups else None


def _lines(cards: Sequence[Card]) -> list[list[Card]]:
    """A line a row; rows of a single sound that follow each other share one, to be heard side by side."""
    rows = [[each for each in cards if each.row == row] for row in dict.fromkeys(each.row for each in cards)]
    lines: list[list[Card]] = []
    for place, row in enumerate(rows):
        if place and len(row) == len(rows[place - 1]) == 1:
            lines[-1] += row
        else:
            lines.append(list(row))
    return lines


def _measures(result: Result) -> Markup | None:
    rows: list[Row] = result.get("rows") or []
    names = measures_of(rows)
    if not names:
        return None
    intro = tag("p", "Each line is a set of sounds, its mark the measure, the bar its 95 % interval.")
    panels = [_panel(result, name, rows) for name in names]
    columns = [tables.Column("Sounds"), tables.Column("Role"), tables.Column("Clips")]
    columns += [_column(result, name) for name in names]
    lines = [
        [
            tables.words(row["name"]),
            tables.words(row.get("role", "")),
            tables.count(row.get("clips")),
            *(tables.figure(figure_of(row, name), name) for name in names),
        ]
        for row in rows
    ]
    table = tables.sortable(
        columns, lines, caption="All measures", classes=[row.get("role", "") for row in rows]
    )
    what = [item for row in rows for item in (tag("dt", row["name"]), tag("dd", row.get("what", "")))]
    return join(intro, _legend(rows), _panels(panels), table, tag("dl", *what, class_="meanings"))


def _legend(rows: Iterable[Row]) -> Markup:
    present = {row.get("role") for row in rows}
    items = []
    for role, words in ROLES.items():
        if role in present:
            mark = tag("svg", tag("g", symbol(role, 7, 7), class_=f"entry {role}"), viewBox="0 0 14 14")
            items.append(tag("li", mark, words))
    return tag("ul", *items, class_="legend")


def _panels(panels: Iterable[Markup]) -> Markup:
    return tag("div", *panels, class_="panels")


def _panel(result: Result, measure: str, rows: Sequence[Row], key: str = "name") -> Markup:
    """One measure of several rows or stages: its name, direction, meaning and plot."""
    found = [(row, figure) for row in rows if (figure := figure_of(row, measure))]
    entries = [Entry(row[key], figure, row.get("role", "model")) for row, figure in found]
    return _framed(result, measure, intervals(entries, measure, what=f"{title(measure)} by {key}"))


def _framed(result: Result, measure: str, plot: Markup, head: str | None = None) -> Markup:
    meaning = (result.get("meanings") or {}).get(measure)
    return tag(
        "figure",
        tag("figcaption", tag("strong", head or title(measure)), tag("span", _better(result, measure))),
        plot,
        tag("p", meaning, class_="quiet") if meaning else None,
        class_="panel",
    )


def _better(result: Result, measure: str) -> str:
    return "higher is better" if higher_is_better(result, measure) else "lower is better"


def _column(result: Result, measure: str) -> tables.Column:
    meaning = (result.get("meanings") or {}).get(measure, "")
    return tables.Column(title(measure), _better(result, measure), meaning)


def _ladder(result: Result) -> Markup | None:
    stages: list[Row] = result.get("ladder") or []
    names = measures_of(stages)
    if not names:
        return None
    intro = tag("p", "From a real sound to a generated one, one part of the model after the other comes in.")
    panels = [_panel(result, name, stages, key="stage") for name in names]
    columns = [tables.Column("Stage"), *(_column(result, name) for name in names)]
    lines = [
        [tables.words(stage["stage"]), *(tables.figure(figure_of(stage, name), name) for name in names)]
        for stage in stages
    ]
    what = [
        item for stage in stages for item in (tag("dt", stage["stage"]), tag("dd", stage.get("what", "")))
    ]
    table = tables.sortable(columns, lines, caption="The ladder")
    return join(
        intro, _panels(panels), table, tag("dl", *what, class_="meanings"), _ladder_by_class(result, stages)
    )


def _ladder_by_class(result: Result, stages: list[Row]) -> Markup | None:
    """A line a class and stage: sorted by a measure, it shows which sounds a stage loses."""
    found = sorted(
        (
            (label, stage["stage"], measures)
            for stage in stages
            for label, measures in (stage.get("per_class") or {}).items()
        ),
        key=lambda each: each[0],
    )
    names = list(dict.fromkeys(name for *_, measures in found for name in measures))
    if not names:
        return None
    columns = [tables.Column("Label"), tables.Column("Stage"), *(_column(result, name) for name in names)]
    lines = [
        [
            tables.words(label),
            tables.words(stage),
            *(tables.figure(measures.get(name), name) for name in names),
        ]
        for label, stage, measures in found
    ]
    table = tables.sortable(columns, lines, caption="The ladder by class")
    return tag("details", tag("summary", "By class"), table)


def _classes(result: Result) -> Markup | None:
    row = model_row(result)
    classes: dict[str, Any] = (row or {}).get("per_class") or {}
    names = list(dict.fromkeys(name for measures in classes.values() for name in measures))
    if not names:
        return None
    panels = [_class_panel(result, name, classes) for name in names]
    columns = [tables.Column("Label"), *(_column(result, name) for name in names)]
    lines = [
        [tables.words(label), *(tables.figure(measures.get(name), name) for name in names)]
        for label, measures in classes.items()
    ]
    table = tables.sortable(columns, lines, caption="Measures by class")
    plots = tag("details", tag("summary", "Plots"), _panels(panels), open=len(classes) <= OPEN_CLASSES)
    return join(tag("p", f"The sounds of “{(row or {})['name']}”."), plots, table)


def _class_panel(result: Result, measure: str, classes: dict[str, Any]) -> Markup:
    best = ceiling(result, measure)
    held = (best or {}).get("per_class") or {}
    entries = []
    for label, measures in classes.items():
        figure = measures.get(measure)
        if figure and figure.get("value") is not None:
            mark = (held.get(label) or {}).get(measure, {}).get("value")
            entries.append(Entry(label, figure, mark=mark))
    entries.sort(key=lambda entry: entry.figure["value"], reverse=higher_is_better(result, measure))
    marked = any(entry.mark is not None for entry in entries)
    plot = intervals(entries, measure, what=f"{title(measure)} by class", bars=True)
    note = tag("p", f"Upright lines: {(best or {}).get('name')}.", class_="quiet") if marked else None
    return join(_framed(result, measure, join(plot, note)))


def _parts(result: Result) -> Markup | None:
    parts = []
    listeners = result.get("listeners") or []
    if listeners:
        columns = [
            tables.Column(head)
            for head in ("Listener", "Kind", "Seed", "Trained on", "Tested on", "Accuracy")
        ]
        lines = [
            [
                tables.words(each.get("name", "")),
                tables.words(str(each.get("kind", ""))),
                tables.count(each.get("seed")),
                tables.count(each.get("train_clips")),
                tables.count(each.get("test_clips")),
                tables.figure(each.get("test_accuracy"), "test_accuracy"),
            ]
            for each in listeners
        ]
        parts.append(tables.sortable(columns, lines, caption="Listeners, on real test clips"))
    for part in ("codec", "prior"):
        if values := result.get(part):
            columns = [tables.Column(head) for head in (f"Measure of the {part}", "Value", "Meaning")]
            meanings = result.get("meanings") or {}
            lines = [
                [tables.words(title(name)), tables.plain(value, name), tables.words(meanings.get(name, ""))]
                for name, value in values.items()
            ]
            parts.append(tables.sortable(columns, lines, caption=f"The {part} alone"))
    return join(*parts) if parts else None


def _protocol(result: Result) -> Markup:
    parts = []
    for part in ("protocol", "data", "model", "listeners", "seconds"):
        lines = list(_flat(result.get(part) or {}))
        if lines:
            items = [tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in lines]
            table = tag("table", tag("tbody", *items), class_="facts")
            head = tag("summary", part.capitalize())
            parts.append(tag("details", head, tag("div", table, class_="scroll"), open=part == "protocol"))
    return join(*parts)


def _flat(value: Any, name: str = "") -> Iterable[tuple[str, str]]:
    """`a.b` and its text for everything in nested tables; lists of plain things in one line."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for place, each in enumerate(value, 1):
            yield from _flat(each, f"{name}.{place}" if name else str(place))
    elif isinstance(value, list | tuple):
        yield name, ", ".join(map(str, value))
    elif isinstance(value, float):
        yield name, number(value)
    else:
        yield name, "–" if value is None else str(value)
