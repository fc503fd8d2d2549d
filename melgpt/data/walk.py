"""Looks through a folder for sounds: without what is hidden, and without this program's own output."""

import os
from collections.abc import Iterator
from pathlib import Path

from melgpt.audio.formats import begins_as_sound, kind_of
from melgpt.data.metadata import METADATA
from melgpt.data.outputs import kind_of_output, tells_how_made
from melgpt.data.passed_over import PassedOver

_SYSTEM = frozenset(
    ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
    + ("Thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", "Icon\r")
)
"""What systems put into every folder."""

Entry = os.DirEntry[str]


def sounds_below(folder: Path, passed: PassedOver) -> Iterator[tuple[str, list[str]]]:
    """Each folder with sounds, relative to `folder` and with `/`, and their names in order.

    Sub-folders come before what they lie in. What is left aside goes into `passed`.
    """
    yield from _walk(folder, "", (os.path.realpath(folder),), passed)


def is_hidden(name: str) -> bool:
    """Whether a name is one that no person gave: hidden, or a system's."""
    return name.startswith(".") or name in _SYSTEM


def _walk(
    folder: Path, place: str, above: tuple[str, ...], passed: PassedOver
) -> Iterator[tuple[str, list[str]]]:
    with os.scandir(folder / place) as found:
        entries = sorted(
            (entry for entry in found if not is_hidden(entry.name)), key=lambda entry: entry.name
        )
    if place and (kind := kind_of_output(folder / place, frozenset(entry.name for entry in entries))):
        passed.own[place] = kind
        return
    folders: list[Entry] = []
    files: list[Entry] = []
    for entry in entries:
        (folders if _is_folder(entry) else files).append(entry)
    for entry in folders:
        below, real = f"{place}/{entry.name}".lstrip("/"), os.path.realpath(entry.path)
        if real in passed.results:
            passed.own[below] = "--out"
        elif real not in above:  # a link to a folder above would never end
            yield from _walk(folder, below, (*above, real), passed)
    if names := _sounds(folder, place, files, passed):
        yield place, names
    elif not folders and place not in passed.own:
        passed.without_sounds.append(place)


def _sounds(folder: Path, place: str, files: list[Entry], passed: PassedOver) -> list[str]:
    """Names of the sounds among a folder's files; what else there is goes into `passed`."""
    made = _made_here(folder / place, files)
    names: list[str] = []
    others: list[str] = []
    new = 0
    for entry in files:
        name = entry.name
        sound = _is_sound(entry)
        if os.path.splitext(name)[0] in made:
            new += sound
        elif sound:
            names.append(name)
        elif name != METADATA:
            others.append(name)
    if new:
        passed.own[place] = f"{new} {'sound' if new == 1 else 'sounds'}"
    if names or not new:  # beside new sounds alone lie their pictures
        for name in others:
            passed.add_file(place, name)
    return names


def _made_here(folder: Path, files: list[Entry]) -> set[str]:
    """Names without suffix of the sounds beside a JSON that tells how they were made."""
    stems, tables = set(), []
    for entry in files:
        stem, suffix = os.path.splitext(entry.name)
        if suffix == ".json":
            tables.append(stem)
        else:
            stems.add(stem)
    return {stem for stem in tables if stem in stems and tells_how_made(folder / f"{stem}.json")}


def _is_sound(entry: Entry) -> bool:
    kind = kind_of(entry.name)
    # No pipe is opened, which would wait for a writer for ever.
    return kind == "sound" or (kind == "look" and _is_file(entry) and begins_as_sound(entry.path))


def _is_file(entry: Entry) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_folder(entry: Entry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: what it is called tells what it would be
        return False
