"""Finds the sound files of a folder with their labels: the sub-folder's name, or what metadata.csv says."""

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from melgpt.audio.io import SUFFIXES
from melgpt.data.audit import MISSING, NO_LABEL, UNREADABLE
from melgpt.data.metadata import METADATA, Row, read_metadata
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


def scan(folder: Path) -> Iterator[Source]:
    """Every sound file below a folder, in no order that matters.

    Raises UserError where the folder does not exist or its metadata.csv is not in order.
    """
    if not folder.exists():
        raise UserError(f"the folder {folder} does not exist")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; give the folder that holds the sounds")
    if (folder / METADATA).is_file():
        return _listed(folder)
    return _found(folder)


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


def _found(folder: Path) -> Iterator[Source]:
    own_name = unicodedata.normalize("NFC", folder.resolve().name or "sounds")
    labelled = False
    for relative in _walk(folder, "", (os.path.realpath(folder),)):
        parent, _, _ = relative.rpartition("/")
        labelled = labelled or bool(parent)
        label = unicodedata.normalize("NFC", parent or own_name)
        # The files of the top come last: by then it is known whether sub-folders give the labels.
        stray = labelled and not parent
        yield file_source(
            folder,
            Row(relative, label, "", ""),
            problem=NO_LABEL if stray else "",
            detail="lies beside the sub-folders that give the labels: move it into one" if stray else "",
        )


def _walk(folder: Path, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    """Relative paths of the sound files, those of sub-folders before the folder's own."""
    names: list[str] = []
    with os.scandir(folder / prefix) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                real = os.path.realpath(entry.path)
                if real not in above:  # a link to a folder above would never end
                    yield from _walk(folder, f"{prefix}{entry.name}/", (*above, real))
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                names.append(f"{prefix}{entry.name}")
    yield from names


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: what it is called tells what it would be
        return False


def _listed(folder: Path) -> Iterator[Source]:
    for row in read_metadata(folder / METADATA):
        path = _on_disk(folder, row.file_name)
        if path is None:
            yield file_source(folder, row, problem=MISSING, detail=f"listed in {METADATA}, not in the folder")
        else:
            yield file_source(folder, Row(path, row.label, row.split, row.source))


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
