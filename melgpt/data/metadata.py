"""metadata.csv: a table `file_name,label[,split][,source]` that wins over the names of folders."""

import csv
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from melgpt.errors import UserError, closest

METADATA = "metadata.csv"
REQUIRED = ("file_name", "label")
COLUMNS = (*REQUIRED, "split", "source")
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Row:
    """One line; `split` and `source` are empty where they are not given."""

    file_name: str
    label: str
    split: str
    source: str


def read_metadata(path: Path) -> Iterator[Row]:
    """The rows of a metadata.csv (UTF-8, with or without byte order mark).

    Raises UserError with the line for wrong columns, an empty label, an unknown split, a file listed twice.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = _columns(path, next(reader, []))
            seen: dict[str, int] = {}
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield _row(f"{path}, line {reader.line_num}", columns, cells, seen, reader.line_num)
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from None


def _columns(path: Path, header: list[str]) -> list[str]:
    columns = [cell.strip() for cell in header]
    for column in columns:
        if column not in COLUMNS:
            raise UserError(
                f"{path}, line 1: unknown column '{column}'{closest(column, COLUMNS)}; "
                "the first line must be file_name,label with split and source as further columns at will"
            )
    for column in REQUIRED:
        if column not in columns:
            raise UserError(f"{path}, line 1: the column '{column}' is missing (needed: file_name,label)")
    if len(set(columns)) < len(columns):
        raise UserError(f"{path}, line 1: a column is there twice: {','.join(columns)}")
    return columns


def _row(where: str, columns: list[str], cells: list[str], seen: dict[str, int], line: int) -> Row:
    if len(cells) != len(columns):
        raise UserError(
            f"{where}: has {len(cells)} cells, the first line has {len(columns)} columns "
            "(text with a comma must stand in quotes)"
        )
    values = {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}
    name, split = values["file_name"], values.get("split", "")
    label = unicodedata.normalize("NFC", values["label"])
    if not name or not label:
        raise UserError(f"{where}: {'file_name' if not name else 'label'} is empty")
    if split and split not in SPLITS:
        raise UserError(f"{where}: unknown split '{split}'{closest(split, SPLITS)}")
    if (
        PurePosixPath(name).is_absolute()
        or PureWindowsPath(name).drive
        or ".." in PureWindowsPath(name).parts
    ):
        raise UserError(f"{where}: '{name}' must be a path inside the folder of the metadata.csv")
    if name in seen:
        raise UserError(f"{where}: '{name}' is already listed on line {seen[name]}")
    seen[name] = line
    return Row(name, label, split, unicodedata.normalize("NFC", values.get("source", "")))
