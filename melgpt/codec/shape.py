"""Sizes that the two halves of the codec share; the defaults are the seed's full size."""

import math
from typing import Self

from pydantic import model_validator

from melgpt.config import Config


class NetworkConfig(Config):
    """Widths, depths and strides of encoder and decoder."""

    channels: int = 128
    """Channels after the first layer."""
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    """Channels of each level, as multiples of `channels`; their number is the number of levels."""
    residual_blocks: int = 2
    """Residual blocks a level of the encoder; the decoder has one more."""
    attention_levels: tuple[int, ...] = (4,)
    """Levels (0 is the finest) with attention after each block."""
    middle_attention: bool = True
    """Attention between the two middle blocks."""
    latent: int = 256
    """Channels Z between encoder and quantizer."""
    dropout: float = 0.0
    """Dropout inside the residual blocks."""
    stem_stride: tuple[int, int] = (1, 1)
    """Stride (frequency, time) of the first layer: (2, 2) does all work at half resolution, about twice as fast."""
    strides: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (2, 2), (2, 2))
    """Stride (frequency, time) after each level but the last. With the stem: what one token covers."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.strides) != self.levels - 1:
            raise ValueError(f"{self.levels} levels need {self.levels - 1} strides, not {len(self.strides)}")
        if any(not 0 <= level < self.levels for level in self.attention_levels):
            raise ValueError(
                f"attention_levels must lie in 0..{self.levels - 1}, not {self.attention_levels}"
            )
        return self

    @property
    def levels(self) -> int:
        return len(self.multipliers)

    def width(self, level: int) -> int:
        """Channels of a level; level -1 is the first layer."""
        return self.channels * (1 if level < 0 else self.multipliers[level])

    @property
    def token_size(self) -> tuple[int, int]:
        """Mel bands and mel frames that one code stands for."""
        return tuple(math.prod(s[axis] for s in (self.stem_stride, *self.strides)) for axis in (0, 1))  # type: ignore[return-value]
