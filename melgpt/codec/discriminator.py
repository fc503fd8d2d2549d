"""PatchGAN on mel spectrograms (Isola et al. 2017, https://arxiv.org/abs/1611.07004)."""

from pydantic import Field
from torch import Tensor, nn

from melgpt.config import Config


class DiscriminatorConfig(Config):
    """Sizes of the discriminator; the defaults are the seed's."""

    channels: int = Field(64, ge=1)
    """Channels of the first layer; they double a layer, up to eightfold."""
    layers: int = Field(3, ge=1)
    """Number of stride-2 layers."""

    def patches(self, size: int) -> int:
        """Patches along an axis of `size` mel bands or frames; below 1 the network cannot be applied."""
        return size // 2**self.layers - 2


class Discriminator(nn.Module):
    """values [B, 1, F, N] in [-1, 1] → logits [B, 1, F', N'], one for each patch."""

    Config = DiscriminatorConfig

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        layers: list[nn.Module] = [nn.Conv2d(1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for n in range(1, config.layers + 1):
            wider = config.channels * min(2**n, 8)
            stride = 2 if n < config.layers else 1
            layers += [
                nn.Conv2d(width, wider, 4, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(wider),
                nn.LeakyReLU(0.2),
            ]
            width = wider
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, padding=1))
        self.apply(_initialise)

    def forward(self, values: Tensor) -> Tensor:
        return self.layers(values)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
