"""Several codes in each cell, each from a codebook of its own for a part of the channels.

Product quantization: Jégou et al. 2011, https://doi.org/10.1109/TPAMI.2010.57; for tokens: Li et al. 2024,
"ImageFolder", https://arxiv.org/abs/2410.01756. A cell's codes make one number, so that nothing else changes.
"""

from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from melgpt import registry
from melgpt.config import KindConfig
from melgpt.quantizers.usage import batch_metrics
from melgpt.types import Quantized

MOST_CODES = 1 << 16
"""A prior has an output for each combination."""


class ProductConfig(KindConfig):
    """Several quantizers, each for its part of the channels."""

    kind: str = "product"
    """Registered name of the quantizer."""
    part: registry.AnyQuantizer = registry.configure("quantizer", {"kind": "ema", "codes": 32})
    """The quantizer of each part."""
    parts: int = Field(2, ge=2, le=8)
    """Codes a cell."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        with torch.device("meta"):  # only its size is asked for, so no codebook is allocated
            size = registry.build("quantizer", self.part).codebook_size ** self.parts
        if size > MOST_CODES:
            raise ValueError(
                f"{self.parts} codes a cell make {size} combinations, at most {MOST_CODES} are possible: "
                "give each part fewer codes"
            )
        return self


class ProductQuantizer(nn.Module):
    """Quantizers side by side; a cell's code is their codes as the digits of one number."""

    Config = ProductConfig
    basis: Tensor

    def __init__(self, config: ProductConfig) -> None:
        super().__init__()
        self.config = config
        parts = [registry.build("quantizer", config.part) for _ in range(config.parts)]
        self.parts, self.size = nn.ModuleList(parts), int(parts[0].codebook_size)
        self.dim = sum(int(part.dim) for part in parts)
        self.register_buffer("basis", self.size ** torch.arange(config.parts), persistent=False)

    @property
    def codebook_size(self) -> int:
        return int(self.size ** len(self.parts))

    def forward(self, z: Tensor) -> Quantized:
        """z [B, D, H, W] → Quantized; its loss is the mean of the parts'."""
        split = z.chunk(len(self.parts), dim=1)
        found = [part(values) for part, values in zip(self.parts, split, strict=True)]
        digits = torch.stack([each.codes for each in found], dim=-1)
        codes = (digits * self.basis).sum(-1)
        loss = torch.stack([each.loss for each in found]).mean()
        quantized = torch.cat([each.z for each in found], dim=1)
        return Quantized(quantized, codes, loss, batch_metrics(codes, self.codebook_size))

    def lookup(self, codes: Tensor) -> Tensor:
        """codes [B, H, W] → their vectors [B, D, H, W]."""
        digits = (codes.unsqueeze(-1) // self.basis % self.size).unbind(-1)
        parts: Any = self.parts
        return torch.cat([part.lookup(each) for part, each in zip(parts, digits, strict=True)], dim=1)
