"""Dropout that is quick on a CPU, where torch draws numbers one by one and has no attention for it.

Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html. On other devices it is torch's.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from melgpt.native.kernels import Kernels, find_kernels
from melgpt.native.trained import LEVELS

AT_ONCE = 1 << 21
"""Weights of attention at a time, which stay in the cache."""


class Dropout(nn.Dropout):
    """torch's, which costs nothing when nothing is dropped."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        return drop(x, self.p) if x.device.type == "cpu" else super().forward(x)


def drop(x: Tensor, share: float) -> Tensor:
    """x on the CPU with a share of its numbers dropped, met to a 130 000th, and the rest made up for that.

    Seeded by torch's generator; other numbers are dropped where there are no kernels.
    """
    below, seed = _draw(share)
    kernels = find_kernels()
    if kernels is None or x.dtype not in (torch.float32, torch.bfloat16):
        return x * _kept(x, below, seed)
    return _Drop.apply(kernels, x, below, seed)


def _draw(share: float) -> tuple[int, int]:
    """The draw of 16 bits below which a number is dropped, and a seed of 63 bits."""
    return min(round(share * LEVELS), LEVELS - 1), int(torch.randint((1 << 63) - 1, ()))


class _Drop(torch.autograd.Function):
    """Nothing is kept for the gradients: what is dropped is drawn again."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, below: int, seed: int) -> Tensor:
        ctx.kernels, ctx.drawn = kernels, (below, seed)
        return kernels.dropout(x, *ctx.drawn)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, ctx.kernels.dropout(gradient, *ctx.drawn), None, None


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, causal: bool, dropout: float = 0.0, seen: Tensor | None = None
) -> Tensor:
    """Attention of q, k, v [B, heads, S, D]: each position over all, or `causal`, over those up to its own.

    dropout: share of the weights that are dropped, from 0 to less than 1. seen: without both of these, which
    positions are seen, bool [1, 1, 1, S].
    """
    if not dropout or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, seen, dropout_p=dropout, is_causal=causal)
    kernels = find_kernels()
    alike = q.dtype == k.dtype == v.dtype and q.shape == k.shape == v.shape
    if kernels is not None and alike and kernels.attends(q):
        return _Attend.apply(kernels, q, k, v, causal, *_draw(dropout))
    # torch has this in many passes over memory, some of them in float32.
    hidden = torch.zeros(q.shape[2], k.shape[2], dtype=q.dtype)
    if causal:
        hidden.masked_fill_(torch.ones_like(hidden, dtype=torch.bool).triu_(1), -math.inf)
    pieces = (x.flatten(0, 1).split(max(1, AT_ONCE // hidden.numel())) for x in (q, k, v))
    attended = [_attend_some(hidden, dropout, *some) for some in zip(*pieces, strict=True)]
    return torch.cat(attended).unflatten(0, q.shape[:2])


class _Attend(torch.autograd.Function):
    """The weights are made and drawn again for the gradients."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, q: Tensor, k: Tensor, v: Tensor, causal: bool, below: int, seed: int
    ) -> Tensor:
        ctx.kernels, ctx.how = kernels, {"causal": causal, "below": below, "seed": seed}
        attended, sums = kernels.attention(q, k, v, **ctx.how)
        ctx.save_for_backward(q, k, v, sums)
        return attended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        made = ctx.kernels.attention_back(gradient, *ctx.saved_tensors, **ctx.how)
        return None, *made, None, None, None


def _attend_some(hidden: Tensor, dropout: float, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.baddbmm(hidden, q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    weights = scores.softmax(-1)
    return torch.bmm(drop(weights, dropout), v)


def _kept(x: Tensor, below: int, seed: int) -> Tensor:
    """As large as x: 0 where it is dropped, else what makes up for that."""
    drawn = np.random.SFC64(seed).random_raw(-(-x.numel() // 4)).view(np.int16)[: x.numel()]
    kept = torch.from_numpy(drawn) >= below - LEVELS // 2
    return kept.to(x.dtype).mul_(LEVELS / (LEVELS - below)).view(x.shape)
