"""No decoder: the codec's mel as it is."""

from torch import Tensor

from melgpt.decoders.base import MelDecoder, MelDecoderConfig
from melgpt.types import MelScale


class NoDecoderConfig(MelDecoderConfig):
    """No decoder has no options."""

    kind: str = "none"


class NoDecoder(MelDecoder):
    """Returns the smooth mel; nothing to learn."""

    Config = NoDecoderConfig
    trainable = False
    draws = False

    def __init__(self, config: NoDecoderConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def scale(self) -> MelScale:
        return self.config.mel

    def refine(self, smooth: Tensor, z: Tensor, noise: Tensor) -> Tensor:
        """The smooth mel itself."""
        return smooth

    def loss(self, target: Tensor, smooth: Tensor, z: Tensor) -> Tensor:
        """Mean square error [B], which nothing here can make smaller."""
        return (target - smooth).square().mean((1, 2))
