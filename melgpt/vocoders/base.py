"""What every vocoder offers: it makes sound of a mel."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from melgpt.types import MelScale


class Vocoder(nn.Module, ABC):
    """Mels [B, F, N] in [0, 1] → samples [B, hop * N] in [-1, 1]."""

    family = "vocoder"
    trainable = True
    """Whether it has weights to learn; `fit` trains it then."""
    reach: int | None = None
    """Frames to either side that a sample depends on: pieces that see as much around them are exact. None: it
    is not known, and pieces are cross-faded."""
    takes_past = False
    """Whether `forward` takes `past`, the sound of the first frames, and goes on from its phases."""

    @property
    @abstractmethod
    def scale(self) -> MelScale:
        """The mel scale that it understands."""

    @abstractmethod
    def forward(self, mel: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """generator: of what it draws; another one gives other phases."""
