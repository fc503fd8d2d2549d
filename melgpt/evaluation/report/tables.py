"""Tables whose columns sort, by mouse or keyboard; without a script they are plain tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from melgpt.evaluation.report.markup import Markup, join, tag
from melgpt.evaluation.report.names import Figure, interval, number


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and the number it is sorted by where it is no text."""

    shown: str
    value: float | None = None
    numeric: bool = True


def words(text: str) -> Cell:
    return Cell(text, numeric=False)


def figure(entry: Figure | None, measure: str) -> Cell:
    """A measure with its interval below it."""
    if entry is None or entry.get("value") is None:
        return Cell("")
    span = interval(entry, measure)
    small = tag("span", span, class_="interval") if span else None
    return Cell(join(number(entry["value"], measure), small), entry["value"])


def plain(value: float | None, measure: str = "") -> Cell:
    return Cell(number(value, measure), value)


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    title: str
    note: str = ""
    """Which way is better, in a word."""
    meaning: str = ""
    """Shown where the pointer rests."""


def sortable(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, caption: str, classes: Sequence[str] = ()
) -> Markup:
    """A table that can be wider than the page: it scrolls by itself. `classes`: one a row."""
    heads = [
        tag(
            "th",
            tag("button", column.title, type="button"),
            tag("span", column.note, class_="note") if column.note else None,
            scope="col",
            title=column.meaning or None,
        )
        for column in columns
    ]
    lines = []
    for place, row in enumerate(rows):
        first, *others = row
        cells = [tag("th", first.shown, scope="row"), *(_cell(cell) for cell in others)]
        lines.append(tag("tr", *cells, class_=classes[place] if classes else None))
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *lines),
        class_="sortable",
    )
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cell(cell: Cell) -> Markup:
    value = None if cell.value is None else repr(float(cell.value))
    return tag("td", cell.shown, data_value=value, class_="number" if cell.numeric else None)


def count(value: int | None) -> Cell:
    return Cell("" if value is None else str(value), value)
