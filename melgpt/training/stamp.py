"""What a stage is made from, as a file beside its checkpoints: whether it may go on, and what has changed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgpt.paths import atomic

MOST_NAMED, MOST_SHOWN = 5, 24
"""Changes that are named, and characters of a value."""
FINGERPRINTS = {
    "data": "the sounds",
    "codec": "the codec",
    "perceptual": "the perceptual network",
    "features": "the features of the videos",
    "clips": "the clips",
}
"""What a stage is made from besides options, of which the file holds the fingerprint alone."""


@dataclass(frozen=True)
class Stamp:
    """Plain values that decide the result of a stage, and the file that they are kept in."""

    file: Path
    made_from: dict[str, Any]

    @property
    def _text(self) -> str:
        return json.dumps(self.made_from, sort_keys=True, ensure_ascii=False)

    def is_there(self) -> bool:
        """Whether the file says just this."""
        return self.file.is_file() and self.file.read_bytes() == self._text.encode()

    def write(self) -> None:
        with atomic(self.file) as temporary:
            temporary.write_text(self._text, encoding="utf-8")

    def changes(self) -> list[str]:
        """What the file says otherwise: `training.steps (20 → 1000)`, `the sounds`; nothing where it cannot
        be read."""
        named = [
            FINGERPRINTS[name]
            if name in FINGERPRINTS and not isinstance(old, dict)
            else f"{name} ({_shown(old)} → {_shown(new)})"
            for name, old, new in self._found()
        ]
        return named[:MOST_NAMED] + ["…"] * (len(named) > MOST_NAMED)

    def steps_before(self) -> int | None:
        """The training.steps that the file says, where nothing else has changed; else None."""
        found = self._found()
        return found[0][1] if [name for name, _, _ in found] == ["training.steps"] else None

    def _found(self) -> list[tuple[str, Any, Any]]:
        """Name of each difference, what the file says, what it is now."""
        try:
            before = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return _differences("", before, json.loads(self._text))


def _differences(name: str, before: Any, now: Any) -> list[tuple[str, Any, Any]]:
    if not isinstance(before, dict) or not isinstance(now, dict):
        return [(name, before, now)] if before != now else []
    return [
        each
        for key in sorted({**before, **now})
        for each in _differences(f"{name}.{key}" if name else key, before.get(key), now.get(key))
    ]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
