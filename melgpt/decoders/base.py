"""What every mel decoder offers: it turns the codec's smooth mel into one with the detail of a real sound."""

from abc import ABC, abstractmethod
from typing import Self

from torch import Tensor, nn

from melgpt.config import KindConfig
from melgpt.types import MelScale


class MelDecoderConfig(KindConfig):
    """What the configuration of every mel decoder has."""

    kind: str
    mel: MelScale = MelScale()
    """Scale of the mels."""

    def for_codec(self, depth: int, token_frames: int) -> Self:
        """The same for a codec whose looked-up codes have so many channels and cover so many frames.

        Raises UserError where it cannot stand behind such a codec.
        """
        return self


class MelDecoder(nn.Module, ABC):
    """Smooth mel, looked-up codes and noise → a sharp mel. Mels are [B, F, N] in [0, 1].

    z is what the codec's quantizer looks up, [B, D, H, W]; N is W times the frames of a token.
    """

    family = "decoder"
    trainable = True
    """Whether it has weights to learn; `fit` has a stage for it then."""
    reach = 0
    """Frames to either side that a refined frame depends on."""
    draws = True
    """Whether noise decides the result; otherwise none is drawn."""

    @property
    @abstractmethod
    def scale(self) -> MelScale:
        """The mel scale that it works on."""

    def measure(self, residual: Tensor) -> None:  # noqa: B027 - not every decoder wants to know
        """Told before training what the codec leaves out: real less smooth mels [B, F, N]."""

    @abstractmethod
    def refine(self, smooth: Tensor, z: Tensor, noise: Tensor) -> Tensor:
        """The sharp mel [B, F, N] of a smooth one.

        noise: [B, F, N], standard normal; other noise gives another take.
        """

    @abstractmethod
    def loss(self, target: Tensor, smooth: Tensor, z: Tensor) -> Tensor:
        """What training makes small, of each clip: [B]. target: the real mel [B, F, N]."""
