"""PatchGAN on mel spectrograms (Isola et al. 2017, https://arxiv.org/abs/1611.07004)."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from melgpt.config import KindConfig


class DiscriminatorConfig(KindConfig):
    """Sizes of the discriminator; the defaults are the seed's."""

    kind: str = "patchgan"
    """Registered name of the discriminator."""
    channels: int = Field(64, ge=1)
    """Channels of the first layer; they double a layer, up to eightfold."""
    layers: int = Field(3, ge=1)
    """Number of stride-2 layers."""
    dimensions: Literal[1, 2] = 2
    """2: patches in frequency and time. 1: patches in time alone, with the mel bands as channels."""

    def patches(self, size: int) -> int:
        """Patches along an axis of `size` mel bands or frames; below 1 the network cannot be applied."""
        return size // 2**self.layers - 2

    @property
    def least_frames(self) -> int:
        """Fewest frames that give a patch."""
        return 3 * 2**self.layers

    def shortest_axis(self, bands: int, frames: int) -> int:
        """The smaller of the axes that patches are cut from."""
        return frames if self.dimensions == 1 else min(bands, frames)


class Discriminator(nn.Module):
    """values [B, 1, F, N] in [-1, 1] → logits [B, 1, F', N'], or [B, 1, N'] in one dimension, one a patch."""

    Config = DiscriminatorConfig
    family = "discriminator"

    def __init__(self, config: DiscriminatorConfig, bands: int = 80) -> None:
        """bands: mel bands F, which matter in one dimension only."""
        super().__init__()
        self.config = config
        conv, norm = (nn.Conv2d, nn.BatchNorm2d) if config.dimensions == 2 else (nn.Conv1d, nn.BatchNorm1d)
        inputs, width = (1 if config.dimensions == 2 else bands), config.channels
        layers: list[nn.Module] = [conv(inputs, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for n in range(1, config.layers + 1):
            wider = config.channels * min(2**n, 8)
            stride = 2 if n < config.layers else 1
            layers += [
                conv(width, wider, 4, stride=stride, padding=1, bias=False),
                norm(wider),
                nn.LeakyReLU(0.2),
            ]
            width = wider
        self.layers = nn.Sequential(*layers, conv(width, 1, 4, padding=1))
        self.apply(_initialise)

    def forward(self, values: Tensor) -> Tensor:
        return self.layers(values if self.config.dimensions == 2 else values.squeeze(1))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
