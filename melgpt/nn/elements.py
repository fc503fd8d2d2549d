"""What a transformer does to each position by itself: norms and activations.

RMSNorm https://arxiv.org/abs/1910.07467; SwiGLU https://arxiv.org/abs/2002.05202. On a CPU
each has kernels to write with, and the two of modern blocks have others to be trained.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from melgpt.native.kernels import Kernels, UsesKernels, find_kernels
from melgpt.native.on_gpu import NormParts

EPSILON = 1e-6
"""What RMSNorm adds to the mean square."""


class RMSNorm(UsesKernels, nn.RMSNorm):
    """torch's, in the precision of its input: with another one under autocast torch takes a slow path."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=EPSILON)

    @property
    def parts(self) -> NormParts:
        """Weight, no bias, what is added to the mean square."""
        return self.weight, None, EPSILON

    def forward(self, x: Tensor) -> Tensor:
        if self.kernels is not None and x.dtype == self.weight.dtype == torch.float32:
            return self.kernels.rms_norm(x, self.weight, EPSILON)
        kernels = _training_kernels(self, x, x.shape[-1]) if self.weight.dtype == torch.float32 else None
        if kernels is not None:
            return _RMSNorm.apply(kernels, x, self.weight)
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class _RMSNorm(torch.autograd.Function):
    """torch's takes a dozen operations for both ways on a CPU."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor, weight: Tensor) -> Tensor:
        made, inverse = kernels.rms_norm_forth(x, weight, EPSILON)
        ctx.kernels = kernels
        ctx.save_for_backward(x, weight, inverse)
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.kernels.rms_norm_back(gradient, *ctx.saved_tensors)


class LayerNorm(UsesKernels, nn.LayerNorm):
    """torch's."""

    @property
    def parts(self) -> NormParts:
        """Weight, bias, what is added to the variance."""
        return self.weight, self.bias, self.eps

    def forward(self, x: Tensor) -> Tensor:
        if self.kernels is not None and x.dtype == self.weight.dtype == torch.float32:
            return self.kernels.layer_norm(x, self.weight, self.bias, self.eps)
        return F.layer_norm(
            x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps
        )


class Gate(UsesKernels, nn.Module):
    """SwiGLU: [..., 2 C] → [..., C], the SiLU of the first half times the second."""

    name = "swiglu"

    def forward(self, both: Tensor) -> Tensor:
        if self.kernels is not None and both.dtype == torch.float32:
            return self.kernels.swiglu(both)
        if (kernels := _training_kernels(self, both, both.shape[-1] // 2)) is not None:
            return _Gate.apply(kernels, both)
        gate, value = both.chunk(2, dim=-1)
        return F.silu(gate) * value


class _Gate(torch.autograd.Function):
    """torch goes through memory once for each of its parts."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, x: Tensor) -> Tensor:
        ctx.kernels = kernels
        ctx.save_for_backward(x)
        return kernels.gate(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, ctx.kernels.gate_back(gradient, *ctx.saved_tensors)


class Curve(UsesKernels, nn.Module):
    """GELU: each number times the normal distribution's share below it."""

    name = "gelu"

    def forward(self, inner: Tensor) -> Tensor:
        if self.kernels is not None and inner.dtype == torch.float32:
            return self.kernels.gelu(inner)
        return F.gelu(inner)


def _training_kernels(layer: nn.Module, x: Tensor, length: int) -> Kernels | None:
    """The kernels that a layer is trained with, on vectors of so many numbers; None where not."""
    here = layer.training and x.device.type == "cpu"
    known = x.dtype in (torch.float32, torch.bfloat16) and not length % 16
    return find_kernels() if here and known else None
