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
    if not isinstance(result, dict) or "format" not in result or not _are_rows(result.get("rows")):
        raise UserError(f"{file} is not the result of an evaluation")
    if result["format"] != FORMAT:
        raise UserError(
            f"{file} has format {result['format']}, this program reads {FORMAT}; evaluate the model again"
        )
    name = (result.get("model") or {}).get("name") or folder.name
    return Stored(folder, name, result, hashlib.sha256(raw).hexdigest()[:16])


def _are_rows(rows: Any) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, dict) and isinstance(row.get("name"), str) and isinstance(row.get("measures"), dict)
        for row in rows
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
