"""Dropout that is quick on a CPU, where torch draws numbers one by one and has no attention for it.

Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html. On other devices it is torch's.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 1 << 16
"""Of the numbers that are drawn, 16 bits each: a share is met to a 130 000th."""
AT_ONCE = 1 << 21
"""Weights of attention at a time, which stay in the cache."""


class Dropout(nn.Dropout):
    """torch's, which costs nothing when nothing is dropped."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        return x * _kept(x, self.p) if x.device.type == "cpu" else super().forward(x)


def attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool, dropout: float = 0.0) -> Tensor:
    """Attention of q, k, v [B, heads, S, D]: each position over all, or `causal`, over those up to its own.

    dropout: share of the weights that are dropped, from 0 to less than 1.
    """
    if not dropout or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal)
    # torch has this in many passes over memory, some of them in float32.
    hidden = torch.zeros(q.shape[2], k.shape[2], dtype=q.dtype)
    if causal:
        hidden.masked_fill_(torch.ones_like(hidden, dtype=torch.bool).triu_(1), -math.inf)
    pieces = (x.flatten(0, 1).split(max(1, AT_ONCE // hidden.numel())) for x in (q, k, v))
    attended = [_attend_some(hidden, dropout, *some) for some in zip(*pieces, strict=True)]
    return torch.cat(attended).unflatten(0, q.shape[:2])


def _attend_some(hidden: Tensor, dropout: float, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.baddbmm(hidden, q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    weights = scores.softmax(-1)
    return torch.bmm(weights * _kept(weights, dropout), v)


def _kept(x: Tensor, dropout: float) -> Tensor:
    """As large as x: 0 where it is dropped, else what makes up for that. Seeded by torch's generator."""
    seed = int(torch.randint((1 << 63) - 1, ()))
    drawn = np.random.SFC64(seed).random_raw(-(-x.numel() // 4)).view(np.int16)[: x.numel()]
    below = round(dropout * LEVELS)
    kept = torch.from_numpy(drawn) >= below - LEVELS // 2
    return kept.to(x.dtype).mul_(LEVELS / (LEVELS - below)).view(x.shape)
