"""Sizes that the two halves of the codec share; the defaults are the seed's full size."""

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from melgpt.config import Config

Size = Annotated[int, Field(ge=1)]


class NetworkConfig(Config):
    """Widths, depths and strides of encoder and decoder."""

    channels: Size = 128
    """Channels after the first layer."""
    multipliers: tuple[Size, ...] = (1, 1, 2, 2, 4)
    """Channels of each level, as multiples of `channels`; their number is the number of levels."""
    residual_blocks: Size = 2
    """Residual blocks a level of the encoder; the decoder has one more."""
    attention_levels: tuple[int, ...] = (4,)
    """Levels (0 is the finest) with attention after each block."""
    middle_attention: bool = True
    """Attention between the two middle blocks."""
    latent: Size = 256
    """Channels Z between encoder and quantizer."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout inside the residual blocks."""
    narrowest_group: Size = 2
    """Fewest channels normalised together: there are 32 groups where the width allows (the originals: 1)."""
    stem_stride: tuple[Size, Size] = (1, 1)
    """Stride (frequency, time) of the first layer: at (2, 2) all work is done at half the resolution."""
    strides: tuple[tuple[Size, Size], ...] = ((2, 2), (2, 2), (2, 2), (2, 2))
    """Stride (frequency, time) after each level but the last. With the stem: what one token covers."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.multipliers:
            raise ValueError("multipliers must name at least one level")
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
