"""Vector quantizer as in the originals (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937)."""

from einops import rearrange
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.config import KindConfig
from melgpt.quantizers.straight_through import straight_through
from melgpt.quantizers.usage import batch_metrics
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


class VectorQuantizer(nn.Module):
    """Nearest code by squared distance, straight-through gradient."""

    Config = VQConfig

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        self.config = config
        self.codebook = nn.Embedding(config.codes, config.dim)
        nn.init.uniform_(self.codebook.weight, -1 / config.codes, 1 / config.codes)

    @property
    def codebook_size(self) -> int:
        return self.config.codes

    @property
    def dim(self) -> int:
        return self.config.dim

    def forward(self, z: Tensor) -> Quantized:
        """z [B, D, H, W] → Quantized; loss = mse(code, sg z) + commitment * mse(sg code, z)."""
        flat = rearrange(z, "b d h w -> (b h w) d").float()
        table = self.codebook.weight.float()
        distance = flat.square().sum(1, keepdim=True) + table.square().sum(1) - 2 * flat @ table.T
        codes = rearrange(distance.argmin(1), "(b h w) -> b h w", b=z.shape[0], h=z.shape[2])
        nearest = self.lookup(codes)
        loss = F.mse_loss(nearest, z.detach()) + self.config.commitment * F.mse_loss(nearest.detach(), z)
        return Quantized(straight_through(nearest, z), codes, loss, batch_metrics(codes, self.codebook_size))

    def lookup(self, codes: Tensor) -> Tensor:
        """codes [B, H, W] → their vectors [B, D, H, W]."""
        return rearrange(self.codebook(codes), "b h w d -> b d h w")

    def extra_repr(self) -> str:
        return f"{self.config.codes} codes of {self.config.dim}"
