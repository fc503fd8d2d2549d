"""The rows that every table has: the model between its floor, its ceiling and those that must score badly."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melgpt.evaluation.references import DECODED, Rendering, Sides

NOISE_LEVEL = 0.1
"""Root mean square of the noise."""
AVERAGED = 500
"""Most clips of a class that its mean is taken of."""


@dataclass(frozen=True)
class Row:
    """Clips of one kind, as they are heard: mels [B, F, frames] in [0, 1] with the class of each."""

    name: str
    role: str
    what: str
    mels: Tensor
    labels: NDArray[np.int64]
    named: Tensor | None = None
    """Other clips of this kind, no training clips, in which classes are heard; None for `mels` themselves."""
    named_labels: NDArray[np.int64] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """Measures that were taken elsewhere."""

    @property
    def heard(self) -> tuple[Tensor, NDArray[np.int64]]:
        """The clips, and their classes, in which the listeners are to hear the class."""
        if self.named is None or self.named_labels is None:
            return self.mels, self.labels
        return self.named, self.named_labels


def real_rows(rendering: Rendering, sides: Sides) -> list[Row]:
    """Real clips, real clips through the vocoder, and through codec and vocoder."""
    drawn, real = rendering.stored(sides.drawn), rendering.stored(sides.real)
    between = "drawn training clips" if sides.unseen else "one half of the training clips"
    against = f"the {sides.split} clips" if sides.unseen else "the other half"
    hearing = f"; classes are heard in the {sides.split} clips" if sides.unseen else ""
    made = [
        ("real against real", "floor", ""),
        ("mel + vocoder", "ceiling", " through mel and vocoder"),
        ("codec + vocoder", "ceiling", " through codec and vocoder"),
    ]
    if rendering.model.decoder.draws:
        made.append((DECODED, "ceiling", " through codec, decoder and vocoder"))
    rows = []
    for name, role, how in made:
        mels = _through(rendering, drawn, name)
        named = _through(rendering, real, name) if sides.unseen else None
        what = f"{between}{how} against {against}{hearing}{how if hearing else ''}"
        rows.append(Row(name, role, what, mels, sides.labels, named, sides.labels if sides.unseen else None))
    return rows


def _through(rendering: Rendering, mels: Tensor, name: str) -> Tensor:
    if name == "real against real":
        return mels
    if name in ("codec + vocoder", DECODED):
        mels = rendering.through_codec(mels, "codec", refined=name == DECODED)
    return rendering.hear(rendering.sound(mels, name))


def control_rows(rendering: Rendering, sides: Sides, *, seed: int) -> list[Row]:
    """The mean mel of each class, noise, and silence: they must score badly."""
    store, labels = rendering.store, sides.labels
    training = store.rows("train")
    means = torch.stack(
        [
            rendering.stored(training[store.label_ids[training] == label][:AVERAGED]).mean(0)
            if label in labels
            else torch.zeros(store.scale.n_mels, rendering.frames)
            for label in range(len(store.labels))
        ]
    )
    mean = rendering.hear(rendering.sound(means, "class means"))[torch.from_numpy(labels)]
    length = rendering.frames * store.scale.hop
    noise = NOISE_LEVEL * torch.randn(len(labels), length, generator=torch.Generator().manual_seed(seed))
    made = (
        ("class-mean mel", "the mean mel of each class, through the vocoder", mean),
        ("noise", "white noise", rendering.hear(noise)),
        ("silence", "silence", torch.zeros_like(mean)),
    )
    return [Row(name, "control", what, mels, labels) for name, what, mels in made]
