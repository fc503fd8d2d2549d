"""How a codebook is used: counts, perplexity, dead codes."""

import torch
from torch import Tensor


def counts(codes: Tensor, size: int) -> Tensor:
    """codes [...] int64 → how often each of `size` codes occurs, [size] float32."""
    return torch.bincount(codes.flatten(), minlength=size).float()


def perplexity(count: Tensor) -> Tensor:
    """exp of the entropy of the counts [K]: the number of equally used codes that would be as varied."""
    share = count / count.sum().clamp(min=1)
    return torch.exp(-(share * torch.log(share + 1e-10)).sum())


def batch_metrics(codes: Tensor, size: int) -> dict[str, Tensor]:
    """Perplexity and share of the codebook used in one batch."""
    count = counts(codes.detach(), size)
    return {"perplexity": perplexity(count), "use": (count > 0).float().mean()}
