"""A generated sound with its mel, its codes and a record of how it was made."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melgpt.audio.audio import Audio
from melgpt.audio.io import write
from melgpt.audio.output import Written
from melgpt.audio.picture import show_or_save
from melgpt.paths import atomic
from melgpt.types import Codes, Mel


@dataclass(frozen=True)
class Sound:
    """A new sound and all that made it."""

    audio: Audio
    mel: Mel
    codes: Codes
    how: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Sound {self.how.get('label')!r}, {self.audio.seconds:.2f} s, {self.audio.rate} Hz>"

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.audio.seconds

    def save(self, path: Path | str, **output: Any) -> Written:
        """Write the sound; WAV, FLAC or OGG by the suffix. Returns its level.

        bits: 16 (default), 24 or "32f"; rate: in Hz; normalize=True: peak to -1 dBFS (audio.output.Output).
        """
        return write(path, self.audio, **output)

    def plot(self, path: Path | str | None = None) -> Any:
        """Write a picture of the mel (PNG); without a path, a matplotlib figure, which a notebook shows."""
        return show_or_save(path, self.mel.values[0], self.mel.scale, self.how.get("label") or "")

    def play(self) -> None:
        """Play it to its end. Raises UserError where no player is installed, or it fails."""
        self.audio.play()

    def explain(self, path: Path | str) -> None:
        """Write how it was made (JSON): seed, options, fingerprints of the model."""
        write_how(path, self.how)


def write_how(path: Path | str, how: dict[str, Any]) -> None:
    """How a sound was made, as JSON."""
    with atomic(Path(path)) as temporary:
        temporary.write_text(json.dumps(how, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
