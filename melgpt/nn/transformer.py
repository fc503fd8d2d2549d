"""Transformer blocks: the seed's (LayerNorm, GELU, biases), modern ones (RMSNorm, rotary, SwiGLU, QK-norm).

Sources: minGPT's block as in SpecVQGAN; RMSNorm https://arxiv.org/abs/1910.07467; rotary positions
https://arxiv.org/abs/2104.09864; SwiGLU https://arxiv.org/abs/2002.05202; QK-norm https://arxiv.org/abs/2010.04245.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from melgpt.config import Config
from melgpt.native.kernels import UsesKernels
from melgpt.native.on_gpu import UsesGpu
from melgpt.nn.dropout import Dropout, attend
from melgpt.nn.elements import EPSILON, Curve, Gate, LayerNorm, RMSNorm
from melgpt.nn.linear import Linear, Part


class BlockConfig(Config):
    """Shape of a stack of blocks. The defaults are modern; see `seed()` for the originals' choice."""

    layers: int = Field(6, ge=1)
    """Number of blocks."""
    width: int = Field(256, ge=1)
    """Length C of a position's vector."""
    heads: int = Field(4, ge=1)
    """Attention heads; width must divide by them."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of embeddings, attention weights and block outputs."""
    norm: Literal["rms", "layer"] = "rms"
    """Normalisation before attention and before the feed-forward part."""
    positions: Literal["rotary", "learned"] = "rotary"
    """How positions are told apart."""
    feed_forward: Literal["swiglu", "gelu"] = "swiglu"
    """Feed-forward part; both have about 8 C² weights."""
    qk_norm: bool = True
    """Normalise queries and keys, which keeps attention from saturating."""
    bias: bool = False
    """Biases in the linear layers of the blocks."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"width {self.width} must divide into {self.heads} heads of an even length")
        return self

    @classmethod
    def seed(cls, **sizes: int | float) -> Self:
        """The originals' blocks: learned positions, LayerNorm, GELU, biases, no QK-norm."""
        choice = {
            "norm": "layer",
            "positions": "learned",
            "feed_forward": "gelu",
            "qk_norm": False,
            "bias": True,
        }
        return cls.parse({**choice, **sizes})


@dataclass
class Place:
    """The place of one position that a tensor tells: a step that was recorded once can be played at any."""

    index: Tensor
    """int64 [1], on the device."""
    seen: Tensor
    """Which positions of the cache it sees: bool [1, 1, 1, room]."""

    @classmethod
    def at(cls, index: Tensor, cache: "list[LayerCache]") -> Self:
        """index [1] in a cache."""
        room = torch.arange(cache[0].keys.shape[2], device=index.device)
        return cls(index, (room <= index)[None, None, None])


@dataclass
class LayerCache:
    """Keys and values [B, heads, room, C / heads] of the positions a layer has seen; written in place.

    They may be of less precision than the layer.
    """

    keys: Tensor
    values: Tensor

    def add(self, k: Tensor, v: Tensor, start: "int | Place") -> tuple[Tensor, Tensor]:
        """Write k, v [B, heads, S, D] from `start` on; what is there up to them, or at a `Place` all room."""
        if isinstance(start, Place):
            for kept, new in ((self.keys, k), (self.values, v)):
                kept.index_copy_(2, start.index, new.to(kept.dtype))
            return self.keys.to(k.dtype), self.values.to(v.dtype)
        end = start + k.shape[2]
        self.keys[:, :, start:end] = k
        self.values[:, :, start:end] = v
        return self.keys[:, :, :end].to(k.dtype), self.values[:, :, :end].to(v.dtype)


def norm(config: BlockConfig) -> nn.Module:
    return RMSNorm(config.width) if config.norm == "rms" else LayerNorm(config.width)


Angles = tuple[Tensor, Tensor]


def rotary_angles(positions: Tensor, length: int) -> Angles:
    """Cosine and sine [S, length] of the rotary angles at positions [S], as `rotate` wants them."""
    inverse = 10000 ** (-torch.arange(0, length, 2, device=positions.device) / length)
    angles = positions[:, None] * inverse
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat([cosine, cosine], dim=-1), torch.cat([-sine, sine], dim=-1)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn the pairs (first half, second half) of x [B, heads, S, length] by their angles."""
    return (x * cosine + x.roll(x.shape[-1] // 2, -1) * sine).to(x.dtype)


class Attention(UsesKernels, UsesGpu, nn.Module):
    """Self-attention, over a cache where one is given; `causal` positions see those before them alone."""

    def __init__(self, config: BlockConfig, *, causal: bool = True) -> None:
        super().__init__()
        self.causal = causal
        self.heads, self.dropout = config.heads, config.dropout
        length = config.width // config.heads
        self.qkv = Linear(config.width, 3 * config.width, bias=config.bias)
        self.project = Linear(config.width, config.width, bias=config.bias)
        self.query_norm = RMSNorm(length) if config.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(length) if config.qk_norm else nn.Identity()

    def forward(
        self,
        x: Tensor,
        start: int | Place,
        angles: Angles | None,
        cache: LayerCache | None,
        *,
        before: Part = None,
        then: Part = None,
        onto: Tensor | None = None,
    ) -> Tensor:
        """x [B, S, C] at positions start, start + 1, …; with a cache, earlier positions are read from it.

        angles: of these positions, see `rotary_angles`; None where positions are learned. before, then, onto:
        what the first and the last of its products take along, see `Linear`.
        """
        qkv = self.qkv(x, before=before)
        if cache is not None and x.shape[1] == 1 and (attend_last := self._attend_last(qkv, start, cache)):
            norms = [norm.weight for norm in (self.query_norm, self.key_norm) if isinstance(norm, RMSNorm)]
            position = start.index if isinstance(start, Place) else start
            attended = attend_last(qkv, cache.keys, cache.values, position, angles, norms, EPSILON)
            return self.project(attended, then=then, onto=onto)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = self.query_norm(q), self.key_norm(k)
        if angles is not None:
            q, k = rotate(q, *angles), rotate(k, *angles)
        if cache is not None:
            k, v = cache.add(k, v, start)
        several = x.shape[1] > 1
        if several and start != 0:
            raise ValueError("several positions at once are only possible at the start of a sequence")
        dropout = self.dropout if self.training else 0.0
        seen = start.seen if isinstance(start, Place) else None
        attended = attend(q, k, v, causal=several and self.causal, dropout=dropout, seen=seen)
        return self.project(attended.transpose(1, 2).flatten(2), then=then, onto=onto)

    def _attend_last(
        self, qkv: Tensor, start: int | Place, cache: LayerCache
    ) -> Callable[..., Tensor] | None:
        """A kernel for one position over those before it, if there is one for this."""
        if self.on_gpu is not None and isinstance(start, Place):
            return self.on_gpu.attend if self.on_gpu.attends(cache.keys) else None
        return self.kernels.attend if self.kernels is not None and qkv.dtype == torch.float32 else None


class FeedForward(nn.Module):
    """Two linear layers with an activation between them; with the options of `Linear` around both."""

    def __init__(self, config: BlockConfig, made: int, hidden: int, activation: nn.Module) -> None:
        """made: outputs of the first layer, of which the activation leaves so many hidden ones."""
        super().__init__()
        self.inward = Linear(config.width, made, bias=config.bias)
        self.outward = Linear(hidden, config.width, bias=config.bias)
        self.activation = activation

    def forward(
        self, x: Tensor, *, before: Part = None, then: Part = None, onto: Tensor | None = None
    ) -> Tensor:
        return self.outward(self.inward(x, before=before, then=self.activation), then=then, onto=onto)


class SwiGLU(FeedForward):
    def __init__(self, config: BlockConfig) -> None:
        # Two thirds of 4 C, rounded up to a multiple of 32: as many weights as the GELU form.
        hidden = -(-8 * config.width // 3 // 32) * 32
        super().__init__(config, 2 * hidden, hidden, Gate())


class GELU(FeedForward):
    def __init__(self, config: BlockConfig) -> None:
        super().__init__(config, 4 * config.width, 4 * config.width, Curve())


class Block(nn.Module):
    """x += attention(norm x); x += feed-forward(norm x)."""

    def __init__(self, config: BlockConfig, *, causal: bool = True) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(config), norm(config)
        self.attention = Attention(config, causal=causal)
        self.feed_forward = SwiGLU(config) if config.feed_forward == "swiglu" else GELU(config)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        start: int | Place = 0,
        angles: Angles | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        x = self.attention(x, start, angles, cache, before=self.norm1, then=self.dropout, onto=x)
        return self.feed_forward(x, before=self.norm2, then=self.dropout, onto=x)
