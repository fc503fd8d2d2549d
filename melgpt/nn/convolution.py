"""Convolution blocks of the VQ-GAN (Esser et al. 2021, "Taming Transformers", https://arxiv.org/abs/2012.09841).

Maps are [B, C, F, N]; a stride is (frequency, time).
"""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from melgpt.native.kernels import Kernels, find_kernels
from melgpt.runtime import has_matrix_units

Stride = tuple[int, int]
Stamp = tuple[int, int, torch.dtype, int]


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution that keeps the map's size.

    The kernels take less than half of the products for it, and for its gradients.
    """

    compiled = True
    """Whether it may take the kernels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        self._ordered: tuple[Tensor, Stamp, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        learns = self.training or torch.is_grad_enabled()
        if learns:
            self._ordered = None  # a fused optimiser changes weights without telling
        kernels = self._kernels(x)
        if kernels is None:
            return super().forward(x)
        x = x.to(_precision(x))
        if learns:
            return _Conv3x3.apply(kernels, x, self.weight, self.bias)
        bias = None if self.bias is None else self.bias.float()
        return kernels.convolve(x, self._in_tiles(kernels, x), bias, self.out_channels)

    def _kernels(self, x: Tensor) -> Kernels | None:
        """The kernels, where they are there and may be taken for this map."""
        if not self.compiled or x.device.type != "cpu" or not x.numel():
            return None
        kind, kernels = _precision(x), find_kernels()
        if kernels is None or not kernels.convolves(kind, self.in_channels, self.out_channels):
            return None
        fits = self.weight.dtype in (kind, torch.float32)
        return kernels if fits and not (kind == torch.bfloat16 and has_matrix_units()) else None

    def _in_tiles(self, kernels: Kernels, x: Tensor) -> Tensor:
        """The weights as the kernels read them for this map, made anew when they have changed."""
        weight, side = self.weight, kernels.side(x)
        stamp = weight.data_ptr(), 0 if weight.is_inference() else weight._version, x.dtype, side
        if self._ordered is None or self._ordered[0] is not weight or self._ordered[1] != stamp:
            self._ordered = weight, stamp, kernels.in_tiles(weight, x.dtype, side)
        return self._ordered[2]


def _precision(x: Tensor) -> torch.dtype:
    """In which a convolution of this map works, on a CPU."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


class _Conv3x3(torch.autograd.Function):
    """x in the precision of the results; weights and their gradients in their own."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.kernels = kernels
        ctx.save_for_backward(x, weight)
        exact = None if bias is None else bias.float()
        ordered = kernels.in_tiles(weight, x.dtype, kernels.side(x))
        return kernels.convolve(x, ordered, exact, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        kernels, (x, weight) = ctx.kernels, ctx.saved_tensors
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[1]:
            turned = kernels.in_tiles(weight, x.dtype, kernels.side(x), turned=True)
            of_x = kernels.convolve(gradient, turned, None, x.shape[1])
        if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
            of_weight, of_bias = (made.to(weight.dtype) for made in kernels.convolve_back(x, gradient))
        return None, of_x, of_weight, of_bias if ctx.needs_input_grad[3] else None


def groups_of(channels: int, narrowest: int = 2) -> int:
    """32 groups as the originals; fewer where a group would have less than `narrowest` channels."""
    groups = 32
    while groups > 1 and (channels % groups or channels < narrowest * groups):
        groups //= 2
    return groups


EPSILON = 1e-6
"""What group normalisation adds to the variance."""


class NormSiLU(nn.GroupNorm):
    """Group normalisation and SiLU."""

    compiled = True
    """Whether it may take the kernels."""

    def __init__(self, channels: int, narrowest: int = 2) -> None:
        super().__init__(groups_of(channels, narrowest), channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        plain = not self.compiled or x.device.type != "cpu" or not x.numel()
        fits = x.dtype in (torch.float32, torch.bfloat16) and not x.shape[1] % 16
        last = x.is_contiguous(memory_format=torch.channels_last)
        kernels = None if plain or not fits or not last else find_kernels()
        if kernels is None:
            return F.silu(super().forward(x))
        return _NormSiLU.apply(kernels, x, self.weight.float(), self.bias.float(), self.num_groups, self.eps)


class _NormSiLU(torch.autograd.Function):
    """Nothing but x is kept for the gradients: the norm and its SiLU are made again."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float
    ) -> Tensor:
        made, stats = kernels.norm_silu(x, weight, bias, groups, epsilon)
        ctx.kernels = kernels
        ctx.save_for_backward(x, weight, bias, stats)
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        return None, *ctx.kernels.norm_silu_back(gradient, *ctx.saved_tensors), None, None


class ResidualBlock(nn.Module):
    """norm, SiLU, 3x3, norm, SiLU, dropout, 3x3, plus the input (through a 1x1 where the channels change)."""

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.0, narrowest: int = 2) -> None:
        super().__init__()
        self.norm1 = NormSiLU(inputs, narrowest)
        self.conv1 = Conv3x3(inputs, outputs)
        self.norm2 = NormSiLU(outputs, narrowest)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = Conv3x3(outputs, outputs)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(self.norm1(x))
        h = self.conv2(self.dropout(self.norm2(h)))
        return self.shortcut(x) + h


class SelfAttention(nn.Module):
    """One head over all positions of the map, added to the input."""

    def __init__(self, channels: int, narrowest: int = 2) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups_of(channels, narrowest), channels, eps=EPSILON)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (rearrange(f(h), "b c h w -> b 1 (h w) c") for f in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(q, k, v)
        return x + self.project(rearrange(attended, "b 1 (h w) c -> b c h w", w=x.shape[-1]))


class Downsample(nn.Module):
    """3x3 convolution with a stride; a strided axis is padded at its end only, as the originals."""

    def __init__(self, channels: int, stride: Stride) -> None:
        super().__init__()
        before_f, before_t = (0 if s > 1 else 1 for s in stride)
        self.padding = (before_t, 1, before_f, 1)
        self.conv = nn.Conv2d(channels, channels, 3, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, self.padding))


class Upsample(nn.Module):
    """Nearest neighbour, then a 3x3 convolution."""

    def __init__(self, channels: int, stride: Stride) -> None:
        super().__init__()
        self.stride = stride
        self.conv = Conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=tuple(map(float, self.stride)), mode="nearest"))


def middle(channels: int, dropout: float, attention: bool, narrowest: int = 2) -> nn.Sequential:
    """The stage at the lowest resolution of both halves: block, attention, block."""
    centre = SelfAttention(channels, narrowest) if attention else nn.Identity()
    first, last = (ResidualBlock(channels, channels, dropout, narrowest) for _ in range(2))
    return nn.Sequential(first, centre, last)


def fold_out(x: Tensor, stride: Stride) -> Tensor:
    """Channels to space: [B, C * f * t, F, N] → [B, C, F * f, N * t], undoing a strided first layer."""
    if stride == (1, 1):
        return x
    return rearrange(x, "b (c f t) h w -> b c (h f) (w t)", f=stride[0], t=stride[1])


def stem(channels: int, stride: Stride) -> nn.Conv2d:
    """First layer: 3x3, or with a stride s on an axis a kernel of 2 s, which makes n * s positions n."""
    kernel = tuple(3 if s == 1 else 2 * s for s in stride)
    padding = tuple((s + 1) // 2 for s in stride)
    return nn.Conv2d(1, channels, (kernel[0], kernel[1]), stride=stride, padding=(padding[0], padding[1]))
