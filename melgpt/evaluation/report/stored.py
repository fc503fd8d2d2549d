"""A report as it lies in its folder, opened again."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgpt.errors import UserError
from melgpt.evaluation.report.rows import Result
from melgpt.paths import atomic

FORMAT = 1
PAGE, RESULT, SOUNDS = "report.html", "report.json", "sounds"


@dataclass(frozen=True)
class Stored:
    """A report's folder, name, result and fingerprint."""

    folder: Path
    name: str
    result: Result
    fingerprint: str
    """SHA-256 of report.json, shortened."""

    def sounds(self, row: str) -> list[dict[str, Any]]:
        """What `shown` of report.json says of a row's sounds, where their files are in the folder."""
        inside = (self.folder / SOUNDS).resolve()
        return [
            each
            for each in self.result.get("shown") or []
            if each["row"] == row
            and (file := (self.folder / each["file"]).resolve()).is_file()
            and file.is_relative_to(inside)
        ]


def read_report(folder: Path) -> Stored:
    """Open a report. Raises UserError for what is none, or one of another format."""
    folder = folder.parent if folder.name in (PAGE, RESULT) else folder
    file = folder / RESULT
    if not file.is_file():
        raise UserError(f"{folder} is not a report: it has no {RESULT}; melgpt evaluate writes one")
    raw = file.read_bytes()
    result = read_json(file)
    if not _is_result(result):
        raise UserError(f"{file} is not the result of an evaluation")
    if result["format"] != FORMAT:
        raise UserError(
            f"{file} has format {result['format']!r}, this program reads {FORMAT}; evaluate the model again"
        )
    name = (result.get("model") or {}).get("name") or folder.name
    return Stored(folder, name, result, hashlib.sha256(raw).hexdigest()[:16])


def _is_result(result: Any) -> bool:
    """Whether this has the shape of what `evaluate` writes, as far as it is read without asking again."""
    if not isinstance(result, dict) or "format" not in result or not isinstance(result.get("rows"), list):
        return False
    shown, ladder = (result.get(name) or [] for name in ("shown", "ladder"))
    parts = (result.get(name) or {} for name in ("model", "data", "protocol", "codec", "prior"))
    return (
        _are_entries(result["rows"], "name")
        and _are_entries(ladder, "stage")
        and all(isinstance(part, dict) for part in parts)
        and isinstance(shown, list)
        and all(isinstance(each, dict) and {"row", "file"} <= each.keys() for each in shown)
    )


def _are_entries(entries: Any, key: str) -> bool:
    """Whether these are rows or stages with their measures, `{"value", …}` each."""
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get(key), str)
        and isinstance(entry.get("measures"), dict)
        and all(isinstance(figure, dict) and "value" in figure for figure in entry["measures"].values())
        for entry in entries
    )


def read_json(file: Path) -> Any:
    """The content of a JSON file. Raises FileNotFoundError, and UserError for what is no JSON."""
    if not file.is_file():
        raise FileNotFoundError(f"no such file: {file}")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as reason:
        raise UserError(f"{file} is damaged or no JSON ({reason})") from None


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
