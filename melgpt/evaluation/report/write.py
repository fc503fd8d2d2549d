"""The files of a report: report.html, report.json, and the sounds one by one for comparisons.

report.json is the result as it was handed over, and under `shown` the list of the sounds:
`{"row", "label", "title", "index", "seconds", "file"}`, with the file relative to the folder.
"""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melgpt.audio.io import write
from melgpt.evaluation.report.page import page
from melgpt.evaluation.report.players import Card
from melgpt.evaluation.report.stored import FORMAT, PAGE, RESULT, SOUNDS, write_text
from melgpt.evaluation.shown import Shown


def write_report(folder: Path, result: dict[str, Any], shown: Sequence[Shown]) -> None:
    """Write the sounds, the page and, last, the result, each whole or not at all.

    Raises ValueError for a result of another format.
    """
    if result.get("format") != FORMAT:
        raise ValueError(f"a result of format {FORMAT} was expected, not {result.get('format')!r}")
    _remove_earlier(folder)
    cards = _write_sounds(folder, shown)
    sounds = [
        {
            "row": each.row,
            "label": each.label,
            "title": each.title,
            "index": each.index,
            "seconds": each.seconds,
            "file": each.file.relative_to(folder).as_posix(),
        }
        for each in cards
    ]
    stored = _finite({**result, "shown": sounds})
    write_text(folder / PAGE, page(stored, cards))
    text = json.dumps(stored, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / RESULT, text + "\n")


def _remove_earlier(folder: Path) -> None:
    """An earlier report of this folder: its sounds would be taken for those of this one."""
    (folder / RESULT).unlink(missing_ok=True)
    for file in folder.glob(f"{SOUNDS}/[0-9][0-9]_*/[0-9][0-9][0-9]*.ogg"):
        file.unlink()


def _write_sounds(folder: Path, shown: Sequence[Shown]) -> list[Card]:
    """Every sound as sounds/ROW/NNN.ogg, and what the page needs to show it."""
    rows = list(dict.fromkeys(each.row for each in shown))
    names = {row: f"{place:02d}_{_file_name(row)}" for place, row in enumerate(rows)}
    cards = []
    for number, each in enumerate(shown):
        file = folder / SOUNDS / names[each.row] / f"{number:03d}.ogg"
        write(file, each.audio)
        cards.append(Card(each.row, each.label, each.title, each.index, each.audio.seconds, file, each.mel))
    return cards


def _file_name(row: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", row.lower()).strip("_")[:40] or "row"


def _finite(value: Any) -> Any:
    """The same with null for what is no finite number: JSON has none."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
