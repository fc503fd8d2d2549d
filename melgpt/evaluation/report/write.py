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
from melgpt.evaluation.shown import Shown
from melgpt.paths import atomic

FORMAT = 1
PAGE, RESULT, SOUNDS = "report.html", "report.json", "sounds"


def write_report(folder: Path, result: dict[str, Any], shown: Sequence[Shown]) -> None:
    """Write the sounds, the page and, last, the result, each whole or not at all.

    Raises ValueError for a result of another format.
    """
    if result.get("format") != FORMAT:
        raise ValueError(f"a result of format {FORMAT} was expected, not {result.get('format')!r}")
    sounds = _write_sounds(folder, shown)
    stored = _finite({**result, "shown": sounds})
    text = json.dumps(stored, indent=1, ensure_ascii=False, allow_nan=False)
    _write_text(folder / RESULT, text + "\n")


def _write_sounds(folder: Path, shown: Sequence[Shown]) -> list[dict[str, Any]]:
    """Every sound as sounds/ROW/NNN.ogg; what the list in report.json says of them."""
    rows = list(dict.fromkeys(each.row for each in shown))
    names = {row: f"{place:02d}_{_file_name(row)}" for place, row in enumerate(rows)}
    sounds = []
    for number, each in enumerate(shown):
        file = f"{SOUNDS}/{names[each.row]}/{number:03d}.ogg"
        write(folder / file, each.audio)
        sounds.append(
            {
                "row": each.row,
                "label": each.label,
                "title": each.title,
                "index": each.index,
                "seconds": each.audio.seconds,
                "file": file,
            }
        )
    return sounds


def _file_name(row: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", row.lower()).strip("_")[:40] or "row"


def _finite(value: Any) -> Any:
    """The same with null for what is no finite number: JSON has none."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
