"""Finds the sound files of a folder with their labels: the sub-folder's name, or what metadata.csv says.

Folders called train, valid and test may give the split (`folder_split`).
"""

import os
import re
import unicodedata
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from melgpt.audio.formats import shown_suffix
from melgpt.data.audit import MISSING, NO_LABEL, UNREADABLE
from melgpt.data.folder_split import FolderSplit, folder_split
from melgpt.data.metadata import METADATA, Row, read_metadata
from melgpt.data.passed_over import PassedOver
from melgpt.data.walk import sounds_below
from melgpt.errors import UserError


@dataclass(frozen=True)
class Source:
    """One file of the folder, or one line of metadata.csv whose file is missing."""

    path: str
    """Relative to the folder, with `/`, spelt as on disk."""
    label: str
    group: str
    """Recordings with the same text here come from one source and stay in one split."""
    split: str
    """Given by metadata.csv, else empty."""
    size: int
    """Bytes, -1 where there is no file."""
    modified: int
    """Time of the last change, nanoseconds."""
    problem: str = ""
    """An audit reason known before decoding, else empty."""
    detail: str = ""


def scan(folder: Path, passed: PassedOver | None = None, *, by_folders: bool = True) -> Iterator[Source]:
    """Every sound file below a folder, in no order that matters.

    passed: gets what is left aside. by_folders: whether folders called train, valid and test are a split.
    Raises UserError where the folder does not exist or its metadata.csv is not in order.
    """
    if not folder.exists():
        raise UserError(f"the folder {folder} does not exist")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; give the folder that holds the sounds")
    passed = PassedOver() if passed is None else passed
    if (folder / METADATA).is_file():
        return _listed(folder, passed)
    return _found(folder, passed, by_folders)


_MARKERS = re.compile(
    r"(?<=\d)-[A-Z](-\d{1,2})?$"  # ESC: fold-source-take, with or without the class behind it
    r"|\s*\(\d+\)$"
    r"|[ _.-]+copy([ _-]*\d+)?$"
    r"|[ _.-]+(take|part)[ _.-]*\d+$",
    re.IGNORECASE,
)


def source_name(stem: str) -> str:
    """The name of a recording without the marks of its takes, parts and copies.

    Plain numbers at the end stay: they number recordings far more often than takes.
    """
    name = stem
    while (shorter := _MARKERS.sub("", name).rstrip()) and shorter != name:
        name = shorter
    return name


def _found(folder: Path, passed: PassedOver, by_folders: bool) -> Iterator[Source]:
    own_name = unicodedata.normalize("NFC", folder.resolve().name or "sounds")
    sounds = dict(sounds_below(folder, passed))
    split = folder_split(sounds) if by_folders else FolderSplit()
    if split.note:
        passed.notes.append(split.note)
    labelled = any(sounds)
    for parent, names in sounds.items():
        place = split.place(parent)
        label, problem = place.label or own_name, place.problem
        if labelled and not parent:
            problem = "lies beside the sub-folders that give the labels: move it into one"
        label = unicodedata.normalize("NFC", label)
        for name in names:
            row = Row(f"{parent}/{name}".lstrip("/"), label, place.split, "")
            yield file_source(folder, row, problem=NO_LABEL if problem else "", detail=problem)


def _listed(folder: Path, passed: PassedOver) -> Iterator[Source]:
    taken = set()
    for row in read_metadata(folder / METADATA):
        path = _on_disk(folder, row.file_name)
        if path is None:
            yield file_source(folder, row, problem=MISSING, detail=f"listed in {METADATA}, not in the folder")
        else:
            taken.add(path)
            yield file_source(folder, Row(path, row.label, row.split, row.source))
    note_unlisted(folder, METADATA, taken, passed)


def note_unlisted(folder: Path, table: str, taken: Container[str], passed: PassedOver) -> None:
    """Count the sounds below a folder that its table does not name; of the other files nothing is said."""
    passed.table = table
    for parent, names in sounds_below(folder, passed):
        for name in names:
            if f"{parent}/{name}".lstrip("/") not in taken:
                passed.unlisted[shown_suffix(name)] += 1
    passed.files, passed.without_sounds, passed.own = {}, [], {}


def _on_disk(folder: Path, name: str) -> str | None:
    """A listed name as the disk spells it: other Unicode forms and `\\` for `/` are understood."""
    for spelling in (name, name.replace("\\", "/")):
        for form in (spelling, *(unicodedata.normalize(f, spelling) for f in ("NFC", "NFD"))):
            if (folder / form).is_file():
                return Path(form).as_posix()
    return None


def file_source(folder: Path, row: Row, *, problem: str = "", detail: str = "") -> Source:
    """A file of the folder with what is known of it; `problem` is an audit reason, `detail` its words."""
    size, modified = -1, 0
    path = row.file_name
    if problem != MISSING:
        try:
            status = os.stat(folder / path)
            size, modified = status.st_size, status.st_mtime_ns
        except OSError as error:  # a link that leads nowhere, a file taken away meanwhile
            problem, detail = MISSING, str(error.strerror)
    if not _is_text(path):
        problem, detail = UNREADABLE, "its name is not valid UTF-8: rename it"
        path = path.encode("utf-8", "replace").decode()
    label = row.label if _is_text(row.label) else row.label.encode("utf-8", "replace").decode()
    stem = unicodedata.normalize("NFC", path.rpartition("/")[2].rpartition(".")[0])
    group = f"source {row.source}" if row.source else f"name {label}/{source_name(stem)}"
    return Source(path, label, group, row.split, size, modified, problem, detail)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
