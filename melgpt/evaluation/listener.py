"""What all listeners share: small classifiers of mels whose opinion of sounds the measures are made of.

A listener hears every clip over the same number of frames: shorter clips are followed by silence.
"""

from collections.abc import Collection

import torch
from pydantic import Field
from torch import Tensor, nn

from melgpt.config import KindConfig
from melgpt.errors import UserError, closest
from melgpt.types import MelScale

FEATURES = ("embedding", "logits")
"""What can be taken out: [B, width] in front of the last layer, and [B, classes]."""


class ListenerConfig(KindConfig):
    """A listener. Scale, labels and frames are taken from the data when it is trained."""

    mel: MelScale = MelScale()
    """Scale of the spectrograms that it hears."""
    labels: tuple[str, ...] = ("sound",)
    """Class names in the order of their indices (from the data)."""
    frames: int = Field(128, ge=16)
    """Mel frames of a clip as it is heard (from the data's longest clip)."""
    width: int = Field(128, ge=8, multiple_of=8)
    """Length of the embedding."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Dropout before the last layer, in training."""
    blurred: bool = False
    """Whether blurred clips are a class of their own, behind the others."""


class Listener(nn.Module):
    """Mels [B, F, N] in [0, 1] → logits [B, classes]; a kind adds `embed`.

    One that knows blur has a class more than `labels`: a clip that it takes for blurred has none of them.
    """

    family = "classifier"
    compared = "embedding"
    """Name of the feature that distances of sets compare."""
    mean: Tensor
    std: Tensor

    def __init__(self, config: ListenerConfig) -> None:
        super().__init__()
        self.config = config
        # Of each band over the training set.
        self.register_buffer("mean", torch.zeros(config.mel.n_mels))
        self.register_buffer("std", torch.ones(config.mel.n_mels))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, len(config.labels) + config.blurred)

    @property
    def scale(self) -> MelScale:
        return self.config.mel

    def embed(self, values: Tensor) -> Tensor:
        """Normalised mels [B, 1, F, N] → [B, width]."""
        raise NotImplementedError

    def forward(self, mel: Tensor) -> Tensor:
        """mel [B, F, N] in [0, 1] → logits [B, classes]."""
        return self.head(self.dropout(self._embedding(mel)))

    def features(self, mel: Tensor, names: Collection[str] = FEATURES) -> dict[str, Tensor]:
        """mel [B, F, N] in [0, 1] → name → [B, width]. Raises UserError for a name not in FEATURES."""
        for name in names:
            if name not in FEATURES:
                raise UserError(f"a listener has no feature '{name}'{closest(name, FEATURES)}")
        embedding = self._embedding(mel)
        taken = {"embedding": embedding, "logits": self.head(embedding)}
        return {name: taken[name] for name in names}

    def _embedding(self, mel: Tensor) -> Tensor:
        if mel.ndim != 3 or mel.shape[1] != self.scale.n_mels:
            raise UserError(
                f"this listener hears mels [clips, {self.scale.n_mels} bands, frames], not {list(mel.shape)}"
            )
        return self.embed(((mel - self.mean[:, None]) / self.std[:, None]).unsqueeze(1))


def first_layer(outputs: int) -> nn.Sequential:
    """7x7 convolution of stride 4: [B, 1, F, N] → a quarter of both sides, where all else is cheap."""
    return nn.Sequential(
        nn.Conv2d(1, outputs, 7, stride=4, padding=3, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
