"""What was measured on what: all that a report needs to be done again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.evaluation import intervals
from melgpt.evaluation.listeners import Listeners
from melgpt.evaluation.neighbours import NEIGHBOURS
from melgpt.evaluation.references import Sides
from melgpt.pipeline import SoundModel

FORMAT = 1


@dataclass(frozen=True)
class Asked:
    """What is to be measured."""

    name: str
    """Of the model."""
    parents: Mapping[str, Mapping[str, str]]
    """What each part of the model was trained with, by role and fingerprint."""
    clips: int = 40
    """New clips of each class."""
    seed: int = 0
    sampling: Mapping[str, Any] = field(default_factory=dict)
    resamples: int = intervals.RESAMPLES


def check_fit(model: SoundModel, store: Store) -> None:
    """Raises UserError where a model cannot be measured on a data set."""
    if model.codec.scale != store.scale:
        raise UserError(
            f"the data set {store.folder} has the mel scale {store.scale!r}, the model "
            f"{model.codec.scale!r}: prepare the data with the model's scale"
        )
    if model.prior is None:
        raise UserError("this model folder has no prior.safetensors: there are no new sounds to measure")
    if not model.labels:
        raise UserError("this model is steered by videos alone: there is no class to ask it for")
    if unknown := [label for label in model.labels if label not in store.labels]:
        raise UserError(
            f"the model knows the class '{unknown[0]}', the data set {store.folder} does not: measure it "
            "on the data that it was trained on"
        )


def head(
    asked: Asked,
    model: SoundModel,
    store: Store,
    sides: Sides,
    listeners: Listeners,
    width: int | None,
) -> dict[str, Any]:
    """The result's `format`, `melgpt`, `model`, `data`, `protocol`; width: principal components, if any."""
    extractor = listeners.extractor
    counts = np.bincount(sides.labels, minlength=len(store.labels))
    return {
        "format": FORMAT,
        "melgpt": version("melspec-gpt-vqvae"),
        "model": {
            "name": asked.name,
            "fingerprints": model.fingerprints,
            "trained_with": {part: dict(used) for part, used in asked.parents.items()},
            "labels": list(model.labels),
            "guidance": None if model.prior is None else model.prior.guidance,
        },
        "data": {
            "name": store.folder.resolve().name,
            "fingerprint": store.fingerprint,
            "clips": {split: len(store.rows(split)) for split in ("train", "valid", "test")},
            "scale": store.scale.plain(),
        },
        "protocol": {
            "split": sides.split,
            "clips": len(sides.labels),
            "generated": asked.clips * len(model.labels),
            "per_class": {name: int(n) for name, n in zip(store.labels, counts, strict=True)},
            "seed": asked.seed,
            "sampling": dict(asked.sampling),
            "bootstrap": asked.resamples,
            "pca": width,
            "neighbours": NEIGHBOURS,
            "frames": listeners.frames,
            "extractor": {
                "name": extractor.name,
                "kind": extractor.part.config.kind,
                "fingerprint": extractor.fingerprint,
            },
            "apart": "no listener took part in training the model; no new clip was picked out of several",
        },
    }
