"""A sound that was made, with all that made it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melgpt.audio.io import write
from melgpt.audio.picture import save_mel
from melgpt.paths import atomic
from melgpt.types import Audio, Codes, Mel


@dataclass(frozen=True)
class Sound:
    """A new sound and all that made it."""

    audio: Audio
    mel: Mel
    codes: Codes
    how: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Sound {self.how.get('label')!r}, {self.audio.seconds:.2f} s, {self.audio.rate} Hz>"

    def save(self, path: Path | str) -> None:
        """Write the sound; WAV, FLAC or OGG by the suffix."""
        write(path, self.audio)

    def plot(self, path: Path | str) -> None:
        """Write a picture of the mel (PNG)."""
        save_mel(Path(path), self.mel.values[0], self.mel.scale, title=self.how.get("label") or "")

    def explain(self, path: Path | str) -> None:
        """Write how it was made (JSON): seed, options, fingerprints of the model."""
        write_how(path, self.how)


def write_how(path: Path | str, how: dict[str, Any]) -> None:
    """How a sound was made, as JSON."""
    with atomic(Path(path)) as temporary:
        temporary.write_text(json.dumps(how, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
