"""LPAPS: how different two mels look to a frozen network (Iashin and Rahtu 2021, https://arxiv.org/abs/2110.08791).

LPIPS (Zhang et al. 2018, https://arxiv.org/abs/1801.03924) with a VGG16 (Simonyan and Zisserman 2014,
https://arxiv.org/abs/1409.1556) of one input channel, each mel band scaled by its training statistics.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.config import KindConfig
from melgpt.types import MelScale

Size = Annotated[int, Field(ge=1)]


class PerceptualConfig(KindConfig):
    """The network that compares; the defaults are VGG16's sizes."""

    kind: str = "lpaps"
    """Registered name of the perceptual loss."""
    mel: MelScale = MelScale()
    """Scale of the spectrograms that it compares."""
    channels: tuple[Size, ...] = (64, 128, 256, 512, 512)
    """Channels of each stage; the map is halved between two stages."""
    convolutions: tuple[Size, ...] = (2, 2, 3, 3, 3)
    """Convolutions of each stage."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the differences, in training mode alone: that is how their weights were learnt."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.channels or len(self.channels) != len(self.convolutions):
            raise ValueError(
                f"channels and convolutions must name the same stages, not {len(self.channels)} and "
                f"{len(self.convolutions)}"
            )
        return self


class Perceptual(nn.Module):
    """Two batches [B, 1, F, N] in [-1, 1] → distance of each pair, [B]."""

    Config = PerceptualConfig
    family = "perceptual"
    shift: Tensor
    spread: Tensor

    def __init__(self, config: PerceptualConfig) -> None:
        super().__init__()
        self.config = config
        # Of each band in units of [-1, 1]; without statistics the mel is compared as it is.
        self.register_buffer("shift", torch.zeros(config.mel.n_mels))
        self.register_buffer("spread", torch.ones(config.mel.n_mels))
        self.stages = nn.ModuleList(
            _stage(inputs, outputs, layers)
            for (inputs, outputs), layers in zip(
                pairwise((1, *config.channels)), config.convolutions, strict=True
            )
        )
        # Of each channel, and learnt; until then each channel counts the same.
        self.weights = nn.ParameterList(torch.ones(width) for width in config.channels)
        self.dropout = nn.Dropout(config.dropout)

    @property
    def scale(self) -> MelScale:
        return self.config.mel

    def forward(self, values: Tensor, target: Tensor) -> Tensor:
        """Both [B, 1, F, N] in [-1, 1] → [B], the sum over the stages."""
        return torch.stack(self.by_stage(values, target)).sum(0)

    def by_stage(self, values: Tensor, target: Tensor) -> list[Tensor]:
        """The part [B] that each stage adds to the distance."""
        pairs = zip(self.features(values), self.features(target), self.weights, strict=True)
        return [
            (self.dropout((_unit(one) - _unit(other)).square()).mean((2, 3)) * weight).sum(1)
            for one, other, weight in pairs
        ]

    def features(self, values: Tensor) -> list[Tensor]:
        """values [B, 1, F, N] in [-1, 1] → the map behind each stage, the n-th halved n times."""
        x = self.normalise(values)
        maps = []
        for number, stage in enumerate(self.stages):
            x = stage(F.max_pool2d(x, 2) if number else x)
            maps.append(x)
        return maps

    def normalise(self, values: Tensor) -> Tensor:
        """Each band with about mean 0 and deviation 1 over the training set."""
        return (values - self.shift[:, None]) / self.spread[:, None]


def as_shift_and_spread(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Statistics [F] of the mel in [0, 1] in the units of [-1, 1] that the network reads."""
    return 2 * mean - 1, 2 * std


def _stage(inputs: int, outputs: int, layers: int) -> nn.Sequential:
    """3x3 convolutions, each with a ReLU."""
    widths: Sequence[int] = (inputs, *[outputs] * layers)
    steps: list[nn.Module] = []
    for before, after in pairwise(widths):
        steps += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*steps)


def _unit(features: Tensor) -> Tensor:
    """Every position's vector of channels at length 1, in float32: half precision would round them away."""
    features = features.float()
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
