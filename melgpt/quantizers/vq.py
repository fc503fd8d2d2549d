"""Vector quantizer as in the originals (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937)."""

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.config import KindConfig
from melgpt.quantizers.straight_through import straight_through
from melgpt.quantizers.usage import batch_metrics, counts
from melgpt.types import Quantized


class VQConfig(KindConfig):
    """Codebook learnt by gradient. On a small corpus most codes die: prefer `ema` or `fsq` there."""

    kind: str = "vq"
    """Registered name of the quantizer."""
    codes: int = Field(128, ge=1)
    """Size K of the codebook."""
    dim: int = Field(256, ge=1)
    """Length D of a code."""
    commitment: float = Field(0.25, ge=0)
    """Weight of the term that pulls the encoder to its code."""
    codebook_weight: float = Field(1.0, ge=0)
    """Weight of the term that pulls a code to the encoder's outputs (SpecVQGAN: 0.25, and commitment 1)."""
    noise_sigma: int = Field(0, ge=0)
    """In training, N(0, noise_sigma) truncated towards zero is added to the number of each code."""
    restart: bool = False
    """At the end of each epoch of training, codes that it never used become copies of ones in use."""


class VectorQuantizer(nn.Module):
    """Nearest code by squared distance, straight-through gradient."""

    Config = VQConfig
    usage: Tensor

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        self.config = config
        self.codebook = nn.Embedding(config.codes, config.dim)
        nn.init.uniform_(self.codebook.weight, -1 / config.codes, 1 / config.codes)
        self.register_buffer("usage", torch.zeros(config.codes), persistent=False)

    @property
    def codebook_size(self) -> int:
        return self.config.codes

    @property
    def dim(self) -> int:
        return self.config.dim

    def forward(self, z: Tensor) -> Quantized:
        """z [B, D, H, W] → Quantized.

        loss = codebook_weight * mse(code, sg z) + commitment * mse(sg code, z)
        """
        flat = rearrange(z, "b d h w -> (b h w) d").float()
        table = self.codebook.weight.float()
        distance = flat.square().sum(1, keepdim=True) + table.square().sum(1) - 2 * flat @ table.T
        codes = rearrange(distance.argmin(1), "(b h w) -> b h w", b=z.shape[0], h=z.shape[2])
        if self.training:
            codes = self._disturb(codes)
            self._count(codes)
        nearest = self.lookup(codes)
        loss = self.config.codebook_weight * F.mse_loss(nearest, z.detach())
        loss = loss + self.config.commitment * F.mse_loss(nearest.detach(), z)
        return Quantized(straight_through(nearest, z), codes, loss, batch_metrics(codes, self.codebook_size))

    def lookup(self, codes: Tensor) -> Tensor:
        """codes [B, H, W] → their vectors [B, D, H, W]."""
        return rearrange(self.codebook(codes), "b h w d -> b d h w")

    @torch.no_grad()
    def restart_unused(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Give a code that training has not used since the last call a vector of z [B, D, H, W], quantized.

        The vectors are drawn evenly and with replacement, so a code becomes a copy of a frequent one; the
        nearest code is then the first of the two, until their gradients part them. Returns the codes [n].
        """
        unused = (self.usage == 0).nonzero().flatten()
        flat = rearrange(z, "b d h w -> (b h w) d")
        picked = torch.randint(len(flat), (len(unused),), generator=generator)
        self.codebook.weight[unused] = flat[picked.to(flat.device)].to(self.codebook.weight.dtype)
        self.usage.zero_()
        return unused

    def _disturb(self, codes: Tensor) -> Tensor:
        """The codes with whole-numbered noise, within the codebook."""
        if not self.config.noise_sigma:
            return codes
        noise = (torch.randn(codes.shape, device=codes.device) * self.config.noise_sigma).trunc().long()
        return (codes + noise).clamp(0, self.config.codes - 1)

    @torch.no_grad()
    def _count(self, codes: Tensor) -> None:
        if self.config.restart:
            self.usage += counts(codes, self.config.codes)

    def extra_repr(self) -> str:
        return f"{self.config.codes} codes of {self.config.dim}"
