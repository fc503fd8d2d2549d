"""ESC-50 and ESC-10 as published (Piczak 2015, https://github.com/karolpiczak/ESC-50).

`meta/esc50.csv` names each file of `audio/`, its category, its fold and the recording that it was cut from.
Recordings do not cross folds, so whole folds make the split: `data.valid_fold` and `data.test_fold`.
"""

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from melgpt.data.audit import MISSING
from melgpt.data.config import DataConfig
from melgpt.data.metadata import Row
from melgpt.data.passed_over import PassedOver
from melgpt.data.scan import Source, file_source, note_unlisted
from melgpt.errors import UserError
from melgpt.types import MelScale

META = "meta/esc50.csv"
COLUMNS = ("filename", "fold", "category", "src_file")
SMALL = "esc10"


def recognises(folder: Path) -> bool:
    """Whether a folder is in this layout."""
    return (folder / META).is_file()


def sources(folder: Path, config: DataConfig, scale: MelScale, passed: PassedOver) -> Iterator[Source]:
    """Every line of the table; sounds that it does not name go into `passed`.

    Raises UserError where the table is not in order.
    """
    taken = set()
    for row in _rows(folder / META):
        taken.add(row["filename"])
        path = f"audio/{row['filename']}"
        split = "valid" if int(row["fold"]) == config.valid_fold else "train"
        split = "test" if int(row["fold"]) == config.test_fold else split
        here = (folder / path).is_file()
        yield file_source(
            folder,
            Row(path, row["category"], split, row["src_file"]),
            problem="" if here else MISSING,
            detail="" if here else f"listed in {META}, not in the folder",
        )
    if (folder / "audio").is_dir():
        note_unlisted(folder / "audio", META, taken, passed)


def groups(folder: Path) -> dict[str, frozenset[str]]:
    """`esc10`: the ten classes of ESC-10."""
    return {
        SMALL: frozenset(
            row["category"] for row in _rows(folder / META) if row.get(SMALL, "").lower() == "true"
        )
    }


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
                raise UserError(f"{path}: the column '{missing[0]}' is missing (needed: {','.join(COLUMNS)})")
            for row in reader:
                plain = all(row[column] for column in COLUMNS) and PurePosixPath(row["filename"]).name
                if plain != row["filename"] or not row["fold"].isdigit():
                    raise UserError(
                        f"{path}, line {reader.line_num}: needs {','.join(COLUMNS)}, fold a number"
                    )
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a table in UTF-8: {error}") from None
