"""Mono sound as a user handles it: to save, draw and play; everywhere else it is `types.Audio`."""

import math
from pathlib import Path
from typing import Any

from melgpt import types
from melgpt.types import MelScale


class Audio(types.Audio):
    """Mono sound: samples [B, T] float32 in [-1, 1] at `rate` Hz; most often B = 1."""

    def __repr__(self) -> str:
        return f"<Audio {list(self.samples.shape)}, {self.seconds:.2f} s, {self.rate} Hz>"

    def save(self, path: Path | str, **output: Any) -> None:
        """Write the sound; WAV, FLAC or OGG by the suffix.

        bits: 16 (default), 24 or "32f"; rate: in Hz; normalize=True: peak to -1 dBFS (audio.output.Output).
        """
        from melgpt.audio.given import as_audio
        from melgpt.audio.io import write

        write(path, as_audio(self), **output)

    def plot(self, path: Path | str | None = None, *, scale: MelScale | None = None) -> Any:
        """Write a picture of its mel (PNG); without a path, a matplotlib figure, which a notebook shows.

        scale: by default 80 bands up to half of the rate.
        """
        from melgpt.audio.given import as_audio
        from melgpt.audio.io import resample
        from melgpt.audio.mel import analyse
        from melgpt.audio.picture import show_or_save

        scale = whole_band(self.rate) if scale is None else scale
        mel = analyse(resample(as_audio(self), scale.rate), scale)
        return show_or_save(path, mel.values[0], scale)

    def play(self) -> None:
        """Play it to its end. Raises UserError where no player is installed, or it fails."""
        from melgpt.audio.given import as_audio
        from melgpt.audio.player import play

        play(as_audio(self))


def whole_band(rate: int) -> MelScale:
    """A mel with the default's resolution in time, up to half of this rate."""
    window = 2 ** max(3, round(math.log2(rate * 1024 / 22050)))
    return MelScale(rate=rate, n_fft=window, hop=window // 4, f_min=0.0, f_max=rate / 2)
