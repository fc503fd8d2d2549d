"""Codebook by moving averages with k-means start and restart of dead codes.

Averages: van den Oord et al. 2017, appendix A. Low-dimensional unit-length codes: Yu et al. 2021,
"Vector-quantized image modeling with improved VQGAN", https://arxiv.org/abs/2110.04627. Restart: Jukebox,
Dhariwal et al. 2020, https://arxiv.org/abs/2005.00341. Batch normalisation before the codebook:
Lancucki et al. 2020, "Robust training of vector quantized bottleneck models",
https://arxiv.org/abs/2005.08520.
"""

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.config import KindConfig
from melgpt.quantizers.straight_through import straight_through
from melgpt.quantizers.usage import batch_metrics, counts
from melgpt.types import Quantized

REPRIEVE = 5.0
"""Count that a revived code starts with, in units of `dead_below`."""


class EMAConfig(KindConfig):
    """Codebook that follows the encoder by moving averages."""

    kind: str = "ema"
    """Registered name of the quantizer."""
    codes: int = Field(512, ge=1)
    """Size K of the codebook."""
    dim: int = Field(8, ge=1)
    """Length D of a code, small on purpose: nearest neighbours mean something there."""
    decay: float = Field(0.99, ge=0, lt=1)
    """Share of the old average that a step keeps."""
    commitment: float = Field(0.25, ge=0)
    """Weight of the term that pulls the encoder to its code."""
    dead_below: float = Field(0.05, ge=0)
    """A code whose average count a batch falls below this is moved to an output of the encoder."""
    kmeans_steps: int = Field(10, ge=0)
    """Rounds of k-means on the first training batch."""


class EMAQuantizer(nn.Module):
    """Nearest code by angle; the codebook is a buffer that training steps move."""

    Config = EMAConfig
    codebook: Tensor
    count: Tensor
    total: Tensor
    started: Tensor

    def __init__(self, config: EMAConfig) -> None:
        super().__init__()
        self.config = config
        # Encoder outputs start in a narrow cone, where all codes look alike: without this nothing is learnt.
        self.spread = nn.BatchNorm1d(config.dim, affine=False)
        codebook = F.normalize(torch.randn(config.codes, config.dim), dim=1)
        self.register_buffer("codebook", codebook)
        self.register_buffer("count", torch.ones(config.codes))
        self.register_buffer("total", codebook.clone())
        self.register_buffer("started", torch.tensor(False))

    @property
    def codebook_size(self) -> int:
        return self.config.codes

    @property
    def dim(self) -> int:
        return self.config.dim

    def forward(self, z: Tensor) -> Quantized:
        """z [B, D, H, W] → Quantized with unit-length vectors; in training the codebook moves."""
        flat = F.normalize(self.spread(rearrange(z.float(), "b d h w -> (b h w) d")), dim=1)
        unit = rearrange(flat, "(b h w) d -> b d h w", b=z.shape[0], h=z.shape[2])
        if self.training and not self.started:
            self._start(flat.detach())
        codes = rearrange(
            _nearest(flat, self._unit_codebook()), "(b h w) -> b h w", b=z.shape[0], h=z.shape[2]
        )
        nearest = self.lookup(codes)
        if self.training:
            self._follow(flat.detach(), codes.flatten())
        loss = self.config.commitment * F.mse_loss(unit, nearest)
        metrics = batch_metrics(codes, self.codebook_size)
        return Quantized(straight_through(nearest, unit), codes, loss, metrics)

    def lookup(self, codes: Tensor) -> Tensor:
        """codes [B, H, W] → their unit vectors [B, D, H, W]."""
        return rearrange(self._unit_codebook()[codes], "b h w d -> b d h w")

    def _unit_codebook(self) -> Tensor:
        """The codes at length 1, which averaging the weights over steps does not keep."""
        return F.normalize(self.codebook, dim=1)

    @torch.no_grad()
    def _start(self, flat: Tensor) -> None:
        """k-means on the unit sphere, from a random choice of encoder outputs [M, D]."""
        centres = _far(flat, flat.mean(0, keepdim=True), self.config.codes)
        for _ in range(self.config.kmeans_steps):
            nearest = _nearest(flat, centres)
            size = counts(nearest, self.config.codes)
            moved = F.normalize(_sums(flat, nearest, self.config.codes), dim=1)
            centres = torch.where((size > 0)[:, None], moved, _far(flat, centres, self.config.codes))
        size = counts(_nearest(flat, centres), self.config.codes).clamp(min=REPRIEVE * self.config.dead_below)
        self.codebook.copy_(centres)
        self.count.copy_(size)
        self.total.copy_(centres * size[:, None])
        self.started.fill_(True)

    @torch.no_grad()
    def _follow(self, flat: Tensor, codes: Tensor) -> None:
        keep = self.config.decay
        self.count.mul_(keep).add_(counts(codes, self.config.codes), alpha=1 - keep)
        self.total.mul_(keep).add_(_sums(flat, codes, self.config.codes), alpha=1 - keep)
        dead = self.count < self.config.dead_below
        if dead.any():
            # A revived code has some steps to be chosen in before it counts as dead again.
            self.count[dead] = REPRIEVE * self.config.dead_below
            self.total[dead] = _far(flat, self.codebook, int(dead.sum())) * REPRIEVE * self.config.dead_below
        self.codebook.copy_(F.normalize(self.total, dim=1))


def _nearest(flat: Tensor, codebook: Tensor) -> Tensor:
    return (flat @ codebook.T).argmax(1)


def _sums(flat: Tensor, codes: Tensor, size: int) -> Tensor:
    return torch.zeros(size, flat.shape[1], device=flat.device).index_add_(0, codes, flat)


def _far(flat: Tensor, codebook: Tensor, number: int) -> Tensor:
    """So many rows of flat [M, D], drawn by how badly the codebook serves them (as k-means++ does).

    Drawn evenly, most would be copies of the commonest vector, such as silence.
    """
    distance = (1 - (flat @ codebook.T).amax(1)).clamp(min=1e-6)
    picked = flat[torch.multinomial(distance, number, replacement=number > len(flat))]
    return F.normalize(picked + 1e-3 * torch.randn_like(picked), dim=1)
