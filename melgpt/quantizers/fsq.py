"""Finite scalar quantization: no codebook to collapse (Mentzer et al. 2023, https://arxiv.org/abs/2309.15505)."""

import math
from typing import Self

import torch
from einops import rearrange
from pydantic import model_validator
from torch import Tensor, nn

from melgpt.config import KindConfig
from melgpt.quantizers.straight_through import straight_through
from melgpt.quantizers.usage import batch_metrics
from melgpt.types import Quantized

MOST_LEVELS = 256
"""Beyond about 1000 the margin of the squashing would swallow the outermost level."""


class FSQConfig(KindConfig):
    """A grid of rounded numbers instead of learnt codes."""

    kind: str = "fsq"
    """Registered name of the quantizer."""
    levels: tuple[int, ...] = (8, 5, 5, 5)
    """Number of values of each dimension; their product is the size K of the codebook."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.levels or min(self.levels) < 2 or max(self.levels) > MOST_LEVELS:
            raise ValueError(f"each level must lie in 2..{MOST_LEVELS}, not {self.levels}")
        return self


class FiniteScalarQuantizer(nn.Module):
    """Each dimension is squashed and rounded to one of its levels; a code is their mixed-radix number."""

    Config = FSQConfig
    levels: Tensor
    basis: Tensor

    def __init__(self, config: FSQConfig) -> None:
        super().__init__()
        self.config = config
        levels = torch.tensor(config.levels)
        self.register_buffer("levels", levels, persistent=False)
        basis = torch.cat([torch.ones(1, dtype=torch.int64), levels[:-1].cumprod(0)])
        self.register_buffer("basis", basis, persistent=False)

    @property
    def codebook_size(self) -> int:
        return math.prod(self.config.levels)

    @property
    def dim(self) -> int:
        return len(self.config.levels)

    def forward(self, z: Tensor) -> Quantized:
        """z [B, D, H, W], any range → Quantized; z on the grid within [-1, 1], loss 0."""
        bounded = self._bound(rearrange(z, "b d h w -> b h w d").float())
        steps = bounded.round()
        codes = ((steps.detach().long() + self.levels // 2) * self.basis).sum(-1)
        on_grid = straight_through(steps, bounded) / (self.levels // 2)
        quantized = rearrange(on_grid, "b h w d -> b d h w")
        return Quantized(quantized, codes, z.new_zeros(()), batch_metrics(codes, self.codebook_size))

    def lookup(self, codes: Tensor) -> Tensor:
        """codes [B, H, W] → their grid points [B, D, H, W] within [-1, 1]."""
        digits = codes.unsqueeze(-1) // self.basis % self.levels
        half = self.levels // 2
        return rearrange((digits - half) / half, "b h w d -> b d h w").float()

    def _bound(self, z: Tensor) -> Tensor:
        """Squash each dimension so that rounding gives exactly its number of levels (shifted where even).

        The shift puts z = 0 onto a level; with two levels alone it would have to be infinite.
        """
        half_width = (self.levels - 1) * (1 - 1e-3) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0)
        shift = torch.where(self.levels == 2, 0.0, torch.atanh(offset / half_width.clamp(min=1)))
        return torch.tanh(z + shift) * half_width - offset
