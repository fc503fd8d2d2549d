"""What is asked before, and what comes out of, reading an original's file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from melgpt.data.fetch import VAS_CLASSES
from melgpt.errors import UserError
from melgpt.pretrained import band_statistics
from melgpt.pretrained.band_statistics import BandStatistics
from melgpt.types import MelScale

State = dict[str, Tensor]
HEADS = {(24, 1024): 16, (36, 1280): 20, (40, 1472): 23}
"""Attention heads of the originals' published sizes, by layers and width; no file tells them."""


@dataclass(frozen=True)
class Asked:
    """What no file tells by itself."""

    heads: int | None = None
    """Attention heads of a transformer; known for the originals' published sizes."""
    labels: Sequence[str] | None = None
    """Class names in the order of their numbers; eight classes are VAS's, others their numbers."""
    rows: int = 5
    """Rows of the code grid."""
    columns: int = 53
    """Columns of the code grid, asked only for a transformer that sees a video."""
    scale: MelScale | None = None
    """The mel scale; the originals' if not given."""
    statistics: Path | None = None
    """File of the training set's mel statistics, which a classifier normalises with."""

    def heads_of(self, layers: int, width: int) -> int:
        """The attention heads. Raises UserError where nothing tells them."""
        heads = HEADS.get((layers, width)) if self.heads is None else self.heads
        if heads is None:
            raise UserError(
                f"a transformer of {layers} layers and width {width} is none of the published sizes, and no "
                "file tells its attention heads: give --heads"
            )
        return heads

    def labels_of(self, classes: int) -> Sequence[str] | None:
        """The class names, as far as they are known."""
        return self.labels or (VAS_CLASSES if classes == len(VAS_CLASSES) else None)

    def band_statistics(self, bands: int) -> BandStatistics:
        """The mel statistics. Raises UserError where they were not given."""
        if self.statistics is None:
            raise UserError(
                "this network normalises its mels by statistics of its training set, which its file does not "
                "hold: give --statistics train_means_stds_melspec_10s_22050hz.txt"
            )
        return band_statistics.read(self.statistics, bands)


@dataclass(frozen=True)
class Imported:
    """What a file held."""

    kind: str
    parts: dict[str, nn.Module]
    """By family: codec, prior, vocoder, …"""
    dropped: dict[str, str] = field(default_factory=dict)
    """Keys that have no place here, each with the reason."""

    def __getitem__(self, family: str) -> Any:
        if family not in self.parts:
            raise UserError(f"the file holds a {self.kind}: {', '.join(self.parts)}, but no {family}")
        return self.parts[family]


def filled(part: nn.Module, state: State) -> Any:
    """A part with all its weights set. Raises UserError where one is missing, no number, or does not fit."""
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"the weights '{name}' are not finite numbers: the training that made them failed"
            )
    try:
        part.load_state_dict(state, strict=True)
    except RuntimeError as error:
        lines = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        name = type(part).__name__
        raise UserError(f"the weights do not fit the {name} that they describe: {lines}") from None
    return part.eval()
