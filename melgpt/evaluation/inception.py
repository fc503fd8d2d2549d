"""Blocks of Inception v3 (Szegedy et al. 2015, "Rethinking the Inception Architecture", https://arxiv.org/abs/1512.00567).

Maps are [B, C, F, N]. A block is branches that see the same map, with their channels joined. The order of the
branches and of the layers in them is that of the published weights.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Kernel = int | tuple[int, int]


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation (epsilon 0.001), ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: Kernel, *, stride: int = 1, padded: bool = True
    ) -> None:
        """padded: the map keeps its size at stride 1; else it loses what the kernel cannot cover."""
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2) if padded else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, sides, stride=stride, padding=padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class Branches(nn.Module):
    """Branches on the same map; their channels are joined in their order."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def chain(inputs: int, *layers: tuple[int, Kernel]) -> nn.Sequential:
    """Padded ConvNorms one after the other, each given by its outputs and its kernel."""
    widths = [inputs, *(outputs for outputs, _ in layers)]
    return nn.Sequential(
        *(
            ConvNorm(width, outputs, kernel)
            for width, (outputs, kernel) in zip(widths[:-1], layers, strict=True)
        )
    )


def pooled(inputs: int, outputs: int) -> nn.Sequential:
    """Average over 3x3, whose border counts the padding's zeros, then 1x1."""
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), ConvNorm(inputs, outputs, 1))


def fine_block(inputs: int, pool: int) -> Branches:
    """1x1, 5x5, two 3x3 and the pool: 224 channels and those of the pool."""
    return Branches(
        chain(inputs, (64, 1)),
        chain(inputs, (48, 1), (64, 5)),
        chain(inputs, (64, 1), (96, 3), (96, 3)),
        pooled(inputs, pool),
    )


def middle_block(inner: int) -> Branches:
    """768 → 768 channels by factored 7x7 kernels of `inner` channels."""
    wide, tall = (1, 7), (7, 1)
    return Branches(
        chain(768, (192, 1)),
        chain(768, (inner, 1), (inner, wide), (192, tall)),
        chain(768, (inner, 1), (inner, tall), (inner, wide), (inner, tall), (192, wide)),
        pooled(768, 192),
    )


def coarse_block(inputs: int) -> Branches:
    """To 2048 channels; two of its branches end in a fork of 1x3 and 3x1."""
    return Branches(
        chain(inputs, (320, 1)),
        nn.Sequential(*chain(inputs, (384, 1)), _fork()),
        nn.Sequential(*chain(inputs, (448, 1), (384, 3)), _fork()),
        pooled(inputs, 192),
    )


def first_reduction() -> Branches:
    """288 → 768 channels at half the resolution."""
    return Branches(
        nn.Sequential(ConvNorm(288, 384, 3, stride=2, padded=False)),
        nn.Sequential(*chain(288, (64, 1), (96, 3)), ConvNorm(96, 96, 3, stride=2, padded=False)),
        nn.MaxPool2d(3, stride=2),
    )


def second_reduction() -> Branches:
    """768 → 1280 channels at half the resolution."""
    factored = chain(768, (192, 1), (192, (1, 7)), (192, (7, 1)))
    return Branches(
        nn.Sequential(*chain(768, (192, 1)), ConvNorm(192, 320, 3, stride=2, padded=False)),
        nn.Sequential(*factored, ConvNorm(192, 192, 3, stride=2, padded=False)),
        nn.MaxPool2d(3, stride=2),
    )


def _fork() -> Branches:
    return Branches(ConvNorm(384, 384, (1, 3)), ConvNorm(384, 384, (3, 1)))
