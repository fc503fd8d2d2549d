"""The sounds that a report lets one hear: of each class a few of every row, and the likeliest copies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from melgpt.evaluation.ladder import original_sounds
from melgpt.evaluation.references import DECODED, Rendering, Rows, Sides
from melgpt.evaluation.shown import NEAREST, Shown
from melgpt.types import Audio, Codes, Mel

NEW_CLIPS = 4
"""New clips of each class."""
COPIES = 12
"""Most new clips that are heard beside the training clips nearest to them."""
CLASSES = 20
"""Most classes that are heard."""


class Exhibits:
    """Makes the sounds again from what is kept of them: mels and grids."""

    def __init__(self, rendering: Rendering, sides: Sides) -> None:
        self.rendering = rendering
        labels = np.unique(sides.labels)[:CLASSES]
        self.rows = np.array([sides.real[np.flatnonzero(sides.labels == label)[0]] for label in labels])

    def real(self) -> list[Shown]:
        """A real clip of each class: the recording, through mel and vocoder, and through the codec, too."""
        mels = self.rendering.stored(self.rows)
        recoded = self.rendering.through_codec(mels, "codec")
        recordings = original_sounds(self.rendering.store, self.rows, self.rendering.frames)
        spoken, decoded = (self.rendering.sound(each, "sounds to hear") for each in (mels, recoded))
        shown = []
        for name, sounds, values in (
            ("real against real", spoken if recordings is None else recordings, mels),
            ("mel + vocoder", spoken, mels),
            (DECODED if self.rendering.model.decoder.draws else "codec + vocoder", decoded, recoded),
        ):
            shown += [
                self._shown(name, int(row), *pair)
                for row, *pair in zip(self.rows, sounds, values, strict=True)
            ]
        return shown

    def new(
        self,
        grids: Sequence[Tensor],
        labels: NDArray[np.int64],
        found: dict[str, Any],
        nearest: Rows,
    ) -> list[Shown]:
        """New clips of each class and the likeliest copies; beside them, the training clips nearest to them.

        found: the result of the search for copies; nearest: row of the nearest training clip of each.
        """
        heard = dict.fromkeys(int(label) for label in self.rendering.store.label_ids[self.rows])
        firsts = [int(i) for label in heard for i in np.flatnonzero(labels == label)[:NEW_CLIPS]]
        suspects = sorted(found["clips"], key=lambda clip: (not clip["flagged"], clip["distance"]))
        copies = [int(clip["index"]) for clip in suspects[:COPIES]]
        shown = []
        for index in dict.fromkeys([*firsts, *copies]):
            codec = self.rendering.model.codec
            codes = Codes(grids[index][None], codec.codebook_size, self.rendering.model.fingerprints["codec"])
            audio = self.rendering.model.decode(codes)
            label = self.rendering.store.labels[labels[index]]
            mel = Mel(self.rendering.hear(audio.samples), self.rendering.scale)
            picked = index not in firsts
            shown.append(Shown("generated", label, f"new {label} {index}", audio, mel, index, picked))
        for index in copies:
            row = nearest[index : index + 1]
            values = self.rendering.stored(row)
            recording = original_sounds(self.rendering.store, row, self.rendering.frames)
            sound = self.rendering.sound(values, "sounds to hear") if recording is None else recording
            shown.append(self._shown(NEAREST, int(row[0]), sound[0], values[0], index))
        return shown

    def _shown(self, name: str, row: int, sound: Tensor, mel: Tensor, index: int | None = None) -> Shown:
        store, scale = self.rendering.store, self.rendering.scale
        clip, frames = store.clip(row), min(int(store.frames[row]), self.rendering.frames)
        audio = Audio(sound[None, : frames * scale.hop], scale.rate)
        return Shown(name, clip.label, clip.path, audio, Mel(mel[None, :, :frames], scale), index)
