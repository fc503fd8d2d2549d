"""What a look through a folder leaves aside, counted, to be told in a few lines."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from melgpt.audio.formats import shown_suffix

MOST = 6
"""Suffixes, folders or classes that are named in one line or in lines of one kind; the others are counted."""


class PassedOver:
    """Filled while a folder is looked through: what is no sound, and what this program made itself."""

    def __init__(self, results: Iterable[Path] = ()) -> None:
        """results: folders that the caller writes to, which are not looked into."""
        self.results = frozenset(os.path.realpath(path) for path in results)
        self.files: dict[str, Counter[str]] = {}
        """Files that are no sounds, by folder, then by suffix (empty: without one)."""
        self.without_sounds: list[str] = []
        """Folders without sub-folders that hold no sound."""
        self.unlisted: Counter[str] = Counter()
        """Sounds that a table of the folder does not name, by suffix."""
        self.table = ""
        """The name of that table."""
        self.own: dict[str, str] = {}
        """Folders of this program's own, with what they are."""
        self.notes: list[str] = []
        """How the folder is understood, a line each."""
        self.only: frozenset[str] | None = None
        """The classes that were asked for; None: all."""

    def add_file(self, folder: str, name: str) -> None:
        """Count a file that is no sound."""
        self.files.setdefault(folder, Counter())[shown_suffix(name)] += 1

    def lines(self, lost: Mapping[str, Mapping[str, int]] | None = None) -> list[str]:
        """What was passed over, and each class without a clip.

        lost: classes whose sounds gave none, with how many findings of which reason.
        """
        return self.summary() + self._classes(lost or {})

    def summary(self) -> list[str]:
        """What was passed over in a few lines."""
        lines = []
        if self.own:
            named = [f"{folder or 'its top'} ({what})" for folder, what in self.own.items()]
            lines.append(f"left out, made by this program: {_some(named)}")
        if self.unlisted:
            lines.append(f"not in {self.table}: {counted(self.unlisted)}")
        if others := sum(self.files.values(), Counter()):
            lines.append(f"not looked at: {counted(others)}")
        return lines

    def _classes(self, lost: Mapping[str, Mapping[str, int]]) -> list[str]:
        """A line for each class without a clip."""
        why = {
            label: [f"{count} {reason}" for reason, count in reasons.items()]
            for label, reasons in lost.items()
        }
        for folder in self.without_sounds:
            if folder and (self.only is None or folder in self.only):
                why.setdefault(folder, [])
        lines = []
        for label, reasons in sorted(why.items()):
            if others := self.files.get(label):
                reasons = [*reasons, f"{counted(others)} not looked at"]
            lines.append(f"class {label} gives no clip: {', '.join(reasons) or 'its folder is empty'}")
        if len(lines) > MOST:
            lines[MOST:] = [f"{len(lines) - MOST} more classes give no clip"]
        return lines


def counted(suffixes: Mapping[str, int]) -> str:
    """`3 .xyz, 1 without a suffix`, the most frequent first."""
    ordered = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{count} {suffix or 'without a suffix'}" for suffix, count in ordered[:MOST]]
    rest = sum(count for _, count in ordered[MOST:])
    return ", ".join([*named, f"{rest} others"] if rest else named)


def _some(words: list[str]) -> str:
    rest = len(words) - MOST
    return ", ".join(words[:MOST]) + (f" and {rest} more" if rest > 0 else "")
