"""A codebook seen through one linear layer, so that all of it moves at every step.

Zhu et al. 2024, "Addressing representation collapse in vector quantized models with one linear layer",
https://arxiv.org/abs/2411.02038.
"""

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.config import KindConfig
from melgpt.quantizers.straight_through import straight_through
from melgpt.quantizers.usage import batch_metrics
from melgpt.types import Quantized


class SimVQConfig(KindConfig):
    """A fixed random codebook; a linear layer that is learnt turns it into the codes."""

    kind: str = "simvq"
    """Registered name of the quantizer."""
    codes: int = Field(1024, ge=1)
    """Size K of the codebook."""
    dim: int = Field(32, ge=1)
    """Length D of a code."""
    commitment: float = Field(0.25, ge=0)
    """Weight of the term that pulls the encoder to its code."""


class SimVQQuantizer(nn.Module):
    """Nearest code by squared distance, straight-through gradient; only the linear layer is learnt."""

    Config = SimVQConfig
    frozen: Tensor

    def __init__(self, config: SimVQConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("frozen", torch.randn(config.codes, config.dim) * config.dim**-0.5)
        self.basis = nn.Linear(config.dim, config.dim, bias=False)

    @property
    def codebook_size(self) -> int:
        return self.config.codes

    @property
    def dim(self) -> int:
        return self.config.dim

    def forward(self, z: Tensor) -> Quantized:
        """z [B, D, H, W] → Quantized; loss = mse(code, sg z) + commitment * mse(sg code, z)."""
        flat = rearrange(z, "b d h w -> (b h w) d").float()
        codebook = self._codebook()
        # The square of z in the squared distance is the same for all codes, so it is left out.
        scores = flat @ codebook.T - codebook.square().sum(1) / 2
        codes = rearrange(scores.argmax(1), "(b h w) -> b h w", b=z.shape[0], h=z.shape[2])
        nearest = rearrange(codebook[codes], "b h w d -> b d h w")
        loss = F.mse_loss(nearest, z.detach()) + self.config.commitment * F.mse_loss(nearest.detach(), z)
        return Quantized(straight_through(nearest, z), codes, loss, batch_metrics(codes, self.codebook_size))

    def lookup(self, codes: Tensor) -> Tensor:
        """codes [B, H, W] → their vectors [B, D, H, W]."""
        return rearrange(self._codebook()[codes], "b h w d -> b d h w")

    def _codebook(self) -> Tensor:
        """The codes [K, D]."""
        return self.basis(self.frozen)
