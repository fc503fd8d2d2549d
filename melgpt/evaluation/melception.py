"""Melception: Inception v3 that names the sound of a mel spectrogram, and whose features measures compare.

Iashin and Rahtu 2021, "Taming Visually Guided Sound Generation", https://arxiv.org/abs/2110.08791. One input
channel instead of three, and without the two max-pools of the first layers, since a mel is only 80 high.
"""

from collections.abc import Collection

import torch
from pydantic import Field
from torch import Tensor, nn

from melgpt.config import KindConfig
from melgpt.errors import UserError, closest
from melgpt.evaluation.inception import (
    ConvNorm,
    coarse_block,
    fine_block,
    first_reduction,
    middle_block,
    second_reduction,
)
from melgpt.types import MelScale

FEATURES = ("64", "192", "768", "2048", "logits_unbiased", "logits")
"""Names of what can be taken out, from the first layers to the last: widths, and the logits [B, classes]."""
SMALLEST = 23
"""Fewest bands and frames that leave something of the map behind the last halving."""


class MelceptionConfig(KindConfig):
    """Melception; the defaults are those of the published weights."""

    kind: str = "melception"
    """Registered name of the classifier."""
    mel: MelScale = MelScale()
    """Scale of the spectrograms that it reads."""
    classes: int = Field(309, ge=1)
    """Number of classes."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout before the last layer, in training."""


class Melception(nn.Module):
    """Mels [B, F, N] in [0, 1] → logits [B, classes]; `features` gives what lies on the way."""

    Config = MelceptionConfig
    family = "classifier"
    compared = "2048"
    """Name of the feature that distances of sets compare."""
    mean: Tensor
    std: Tensor

    def __init__(self, config: MelceptionConfig) -> None:
        super().__init__()
        self.config = config
        # Of each band over the training set; a new classifier sees the mel as it is.
        self.register_buffer("mean", torch.zeros(config.mel.n_mels))
        self.register_buffer("std", torch.ones(config.mel.n_mels))
        self.stages = nn.ModuleDict(
            {
                "64": nn.Sequential(
                    ConvNorm(1, 32, 3, stride=2, padded=False),
                    ConvNorm(32, 32, 3, padded=False),
                    ConvNorm(32, 64, 3),
                ),
                "192": nn.Sequential(ConvNorm(64, 80, 1), ConvNorm(80, 192, 3, padded=False)),
                "768": nn.Sequential(
                    fine_block(192, 32),
                    fine_block(256, 64),
                    fine_block(288, 64),
                    first_reduction(),
                    *(middle_block(inner) for inner in (128, 160, 160, 192)),
                ),
                "2048": nn.Sequential(second_reduction(), coarse_block(1280), coarse_block(2048)),
            }
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2048, config.classes)

    @property
    def scale(self) -> MelScale:
        return self.config.mel

    def normalise(self, mel: Tensor) -> Tensor:
        """mel [B, F, N] in [0, 1] → every band with about mean 0 and deviation 1 over the training set."""
        return (mel - self.mean[:, None]) / self.std[:, None]

    def forward(self, mel: Tensor) -> Tensor:
        """mel [B, F, N] in [0, 1] → logits [B, classes]."""
        return self.features(mel, ("logits",))["logits"]

    def features(self, mel: Tensor, names: Collection[str] = FEATURES) -> dict[str, Tensor]:
        """mel [B, F, N] in [0, 1] → name → [B, width], averaged over the map; no layer runs beyond the last.

        Raises UserError for a name that is not in FEATURES and for a mel that is too small.
        """
        self._check(mel, names)
        taken: dict[str, Tensor] = {}
        x = self.normalise(mel).unsqueeze(1)
        for name, stage in self.stages.items():
            x = stage(x)
            taken[name] = x.mean((2, 3))
            if taken.keys() >= set(names):
                return {name: taken[name] for name in names}
        taken["2048"] = self.dropout(taken["2048"])
        taken["logits_unbiased"] = taken["2048"] @ self.head.weight.T
        taken["logits"] = taken["logits_unbiased"] + self.head.bias
        return {name: taken[name] for name in names}

    def _check(self, mel: Tensor, names: Collection[str]) -> None:
        for name in names:
            if name not in FEATURES:
                raise UserError(f"Melception has no feature '{name}'{closest(name, FEATURES)}")
        bands = self.config.mel.n_mels
        if mel.ndim != 3 or mel.shape[1] != bands or min(mel.shape[1:]) < SMALLEST:
            raise UserError(
                f"this Melception reads mels [clips, {bands} bands, at least {SMALLEST} frames], "
                f"not {list(mel.shape)}"
            )
