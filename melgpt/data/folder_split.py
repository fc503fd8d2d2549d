"""Folders called train, valid and test that hold class folders: the split of a corpus, not classes."""

from collections.abc import Collection
from dataclasses import dataclass, field

SIDES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev", "development"), "valid"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""Names of folders, in any case, and the side of the split that each means."""
OFF = "data.folder_split=false takes them as classes"


@dataclass(frozen=True)
class Place:
    """What a folder of sounds is in the split; `problem`: why its sounds have no label."""

    label: str
    split: str = ""
    problem: str = ""


@dataclass(frozen=True)
class FolderSplit:
    """The split that names of folders give."""

    level: int | None = None
    """Which folder of a path gives the side, from 0; None: no folder does."""
    sides: dict[str, str] = field(default_factory=dict)
    """Side of each of these names, in lower case."""
    with_classes: frozenset[str] = frozenset()
    """The folders of the level that hold class folders, as paths."""
    note: str = ""
    """What is to be said of it."""

    def place(self, folder: str) -> Place:
        """Label and side of the sounds that lie in a folder."""
        if self.level is None or not folder:
            return Place(folder)
        parts = folder.split("/")
        side = self.sides.get(_word(parts[self.level])) if len(parts) > self.level else None
        if side is None:
            return Place(folder, problem=f"lies beside the folders of the split: move it into one; {OFF}")
        upper, lower = parts[: self.level], parts[self.level + 1 :]
        if not lower and (not upper or folder in self.with_classes):
            return Place(folder, side, "lies beside the class folders: move it into one")
        return Place("/".join(upper + lower), side)


def folder_split(folders: Collection[str]) -> FolderSplit:
    """The split of the folders that hold sounds, relative to the corpus and with `/`.

    Either the top folders are train, valid and test, or all sounds lie at one level further below in such
    folders, as in `dog/train`. Without a folder for training it needs one for validation and one for tests.
    """
    paths = [folder.split("/") for folder in folders if folder]
    for level in range(max(map(len, paths), default=0)):
        inside = [path for path in paths if len(path) > level and _word(path[level]) in SIDES]
        if not inside or (level and len(inside) < len(paths)):
            continue
        sides = _sides({path[level] for path in inside})
        named = ", ".join(sorted({path[level] for path in inside}))
        held = [path for path in inside if len(path) > level + 1 or level]
        if not held or (level and len(set(sides.values())) < 2):
            return FolderSplit(note=_as_classes(named, sides)) if level == 0 else FolderSplit()
        if "train" not in sides.values():
            if len(inside) < len(paths) or len(set(sides.values())) < 2:
                return FolderSplit(note=_no_training(named) if len(inside) == len(paths) else "")
        elif not any(sides[_word(path[level])] == "train" for path in held):
            return FolderSplit(note=_as_classes(named, sides))
        if len(inside) < len(paths) and not _share_a_class(held, level):
            return FolderSplit()
        with_classes = frozenset("/".join(path[: level + 1]) for path in inside if len(path) > level + 1)
        return FolderSplit(level, sides, with_classes, f"the folders {named} are taken as the split; {OFF}")
    return FolderSplit()


def _sides(names: Collection[str]) -> dict[str, str]:
    """The side of each name; what is called dev is for training where nothing else is."""
    sides = {word: SIDES[word] for word in map(_word, names)}
    if "train" not in sides.values():
        sides |= {word: "train" for word in sides if word.startswith("dev")}
    return sides


def _share_a_class(paths: list[list[str]], level: int) -> bool:
    """Whether two sides have a class of one name, so that folders beside them do not make them classes."""
    classes: dict[str, set[str]] = {}
    for path in paths:
        classes.setdefault("/".join(path[level + 1 :]), set()).add(SIDES[_word(path[level])])
    return any(len(sides) > 1 for sides in classes.values())


def _as_classes(named: str, sides: dict[str, str]) -> str:
    if "train" not in sides.values() or len(sides) < 2:
        return ""
    return f"the folders {named} are taken as classes; for a split, put a class folder into each"


def _no_training(named: str) -> str:
    return f"{named} is taken as a part of the classes' names: a split needs a folder for training, too"


def _word(name: str) -> str:
    return name.strip().casefold()
