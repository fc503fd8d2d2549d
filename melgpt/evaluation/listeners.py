"""The listeners of an evaluation: opened, held apart from the model's own teachers, and examined first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from melgpt import checkpoint
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.evaluation import intervals
from melgpt.evaluation.hearing import Heard, hear


@dataclass(frozen=True)
class Listener:
    """A classifier with what its file says of it."""

    name: str
    part: Any
    fingerprint: str
    seed: int
    train_clips: int


class Listeners:
    """Classifiers that know the data set's classes; the first one's features are compared."""

    def __init__(self, members: Sequence[Listener], extractor: Listener | None = None) -> None:
        """extractor: another classifier whose features are compared, of any classes."""
        self.members = members
        self.extractor = members[0] if extractor is None else extractor
        self.frames: int = members[0].part.config.frames

    @classmethod
    def open(cls, files: Sequence[Path], store: Store, extractor: Path | None = None) -> "Listeners":
        """Raises UserError where there are none, and for one of other data, classes or mel scale."""
        if not files:
            raise UserError("there are no listeners: make some with `melgpt train classifier DATA --out RUN`")
        members = []
        for file in files:
            member = _open(file)
            if member.part.scale != store.scale or member.part.config.labels != store.labels:
                raise UserError(f"{file} knows other classes or another mel scale than {store.folder}")
            if checkpoint.describe(file).parents.get("data") != store.fingerprint:
                raise UserError(
                    f"{file} learnt from another data set than {store.folder}: it may have heard the clips "
                    "that are to be judged; train it anew"
                )
            members.append(member)
        other = None if extractor is None else _open(extractor)
        if other is not None and other.part.scale != store.scale:
            raise UserError(
                f"{extractor} reads the mel scale {other.part.scale!r}, the data has {store.scale!r}"
            )
        return cls(members, other)

    def check_apart(self, parents: Mapping[str, Mapping[str, str]]) -> None:
        """parents: what each part of the model was trained with. Raises UserError where one judges it."""
        judges = {each.fingerprint: each.name for each in (*self.members, self.extractor)}
        for part, used in parents.items():
            for role, fingerprint in used.items():
                if fingerprint in judges:
                    raise UserError(
                        f"the {part} was trained with {judges[fingerprint]} ({role} {fingerprint}): what a "
                        "model was trained to please must not judge it; give other --listeners"
                    )

    def hear(self, mels: Tensor) -> Heard:
        """What the extractor makes of mels [B, F, frames]."""
        return hear(self.extractor.part, mels)

    def right(self, mels: Tensor, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Share of the listeners that hear the class of each clip, [B]."""
        found = [hear(each.part, mels).logits.argmax(1) == labels for each in self.members]
        share: NDArray[np.float64] = np.mean(found, axis=0)
        return share

    def examined(self, mels: Tensor, labels: NDArray[np.int64], *, resamples: int) -> list[dict[str, Any]]:
        """Each listener with its accuracy on clips that it has not learnt from."""
        result = []
        for each in self.members:
            right = hear(each.part, mels).logits.argmax(1) == labels
            accuracy = intervals.of_mean(right.astype(np.float64), resamples=resamples)
            result.append(
                {
                    "name": each.name,
                    "kind": each.part.config.kind,
                    "seed": each.seed,
                    "fingerprint": each.fingerprint,
                    "train_clips": each.train_clips,
                    "test_clips": len(labels),
                    "test_accuracy": accuracy.plain(),
                }
            )
        return result


def _open(file: Path) -> Listener:
    part = checkpoint.load(file, "classifier")
    described = checkpoint.describe(file)
    notes = described.notes
    return Listener(
        file.stem, part, described.fingerprint, int(notes.get("seed", 0)), int(notes.get("train_clips", 0))
    )


def files_in(folder: Path) -> list[Path]:
    """The files of a folder of listeners, by name. Raises UserError where there are none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(
            f"{folder} holds no listeners (.safetensors); make some with `melgpt train classifier`"
        )
    return files
