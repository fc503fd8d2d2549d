"""The originals' lists of a split: `vas_train.txt`, `vggsound_valid.txt` …, one clip a line.

A line is the clip's name, or its name and label with a comma between.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from melgpt.data.metadata import SPLITS
from melgpt.errors import UserError


@dataclass(frozen=True)
class Listed:
    """What a list says of a clip; the label is empty where the list has none."""

    split: str
    label: str


@dataclass(frozen=True)
class SplitLists:
    """All lists of a corpus that were found."""

    clips: dict[str, Listed]
    splits: frozenset[str]
    """Which lists there are."""

    @property
    def complete(self) -> bool:
        """Whether a clip in no list was left out on purpose: the list of training clips is there."""
        return "train" in self.splits


def places_of_tables(folder: Path) -> list[Path]:
    """Where lists and tables of a corpus may lie: in it, or up to two folders above it."""
    # Of a link, above both its ends; near the root one of them may have fewer levels.
    ways = [(way, *way.parents)[:3] for way in (folder.absolute(), folder.resolve())]
    levels = range(min(map(len, ways)))
    return list(dict.fromkeys(way[level] for level in levels for way in ways))


def read_lists(folder: Path, corpus: str) -> SplitLists:
    """The lists `<corpus>_<split>.txt` of the corpus in a folder, each from the nearest place that has it.

    Raises UserError for a list that is not text and for a clip in two lists.
    """
    places = places_of_tables(folder)
    clips: dict[str, Listed] = {}
    found = set()
    for split in SPLITS:
        name = f"{corpus}_{split}.txt"
        path = next((place / name for place in places if (place / name).is_file()), None)
        if path is None:
            continue
        found.add(split)
        for clip, label in _read(path):
            known = clips.setdefault(clip, Listed(split, label))
            if known.split != split:
                raise UserError(f"{path}: '{clip}' is listed for '{known.split}' as well: take it out of one")
    return SplitLists(clips, frozenset(found))


def _read(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for cells in csv.reader(file, skipinitialspace=True):
                words = [cell.strip() for cell in cells]
                if any(words):
                    name = words[0].replace("\\", "/").removesuffix(".npy").removesuffix("_mel")
                    yield name, words[1] if len(words) > 1 else ""
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a list of clips, one a line in UTF-8: {error}") from None
