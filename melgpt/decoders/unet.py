"""A U-Net over frequency and time that depends on a moment t, small enough for two cores.

Maps are [B, C, F, N]. Nothing is normalised over frequency or time, so that what a place becomes depends on
its neighbourhood alone, and a long mel can be worked on in pieces.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.nn.convolution import Conv3x3

EPSILON = 1e-4
MOMENT_WIDTH = 128
"""Channels of the embedding of t."""
FREQUENCIES = 8
"""Sines and cosines of t that it is made of."""


class MomentBlock(nn.Module):
    """norm, SiLU, 3x3, norm, scale and shift by the moment, SiLU, 3x3; plus the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(inputs)
        self.conv1 = Conv3x3(inputs, outputs)
        self.moment = nn.Linear(MOMENT_WIDTH, 2 * outputs)
        self.norm2 = ChannelNorm(outputs)
        self.conv2 = Conv3x3(outputs, outputs)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        # At first each block is its shortcut: deep networks begin to learn sooner.
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, moment: Tensor) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm(x))))
        scale, shift = self.moment(moment)[..., None, None].chunk(2, dim=1)
        h = torch.addcmul(shift.to(h.dtype), h, 1 + scale.to(h.dtype))
        return self.shortcut(x) + self.conv2(F.silu(h))


class MomentBlocks(nn.ModuleList):
    """Blocks one after the other."""

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__(MomentBlock(inputs if i == 0 else outputs, outputs) for i in range(blocks))

    def forward(self, x: Tensor, moment: Tensor) -> Tensor:
        for block in self:
            x = block(x, moment)
        return x


class ChannelNorm(nn.Module):
    """Divides each place by the root mean square of its channels (RMSNorm; Zhang, Sennrich 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        return F.rms_norm(last, self.weight.shape, self.weight.to(x.dtype), EPSILON).permute(0, 3, 1, 2)


class MomentUNet(nn.Module):
    """Maps at half, quarter, … of the resolution, each level with its blocks on the way down and up."""

    def __init__(self, inputs: int, widths: Sequence[int], blocks: int, coarse: int) -> None:
        """inputs: channels at full resolution; coarse: channels that join at the coarsest level."""
        super().__init__()
        self.moment = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, MOMENT_WIDTH), nn.SiLU(), nn.Linear(MOMENT_WIDTH, MOMENT_WIDTH)
        )
        self.first = nn.Conv2d(inputs, widths[0], 4, stride=2, padding=1)
        self.down, self.lower = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            self.down.append(MomentBlocks(width, width, blocks))
            if level + 1 < len(widths):
                self.lower.append(nn.Conv2d(width, widths[level + 1], 2, stride=2))
        self.join = nn.Conv2d(coarse, widths[-1], 1) if coarse else None
        self.centre = MomentBlock(widths[-1], widths[-1])
        self.up, self.raise_ = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(widths))):
            width = widths[level]
            self.up.append(MomentBlocks(2 * width, width, blocks))
            if level:
                self.raise_.append(nn.Conv2d(width, 4 * widths[level - 1], 1))
        self.blocks, self.levels = blocks, len(widths)

    @property
    def reach(self) -> int:
        """Frames to either side that a frame of the result depends on."""
        reach, size = 2, 2  # the first layer
        for level in range(self.levels):
            both_ways = 2 * (2 * self.blocks) + (2 if level + 1 == self.levels else 0)
            reach += both_ways * size + size  # one cell more for what a coarser cell spans
            size *= 2
        return reach

    def forward(self, x: Tensor, t: Tensor, coarse: Tensor | None) -> Tensor:
        """x [B, inputs, F, N], t [B], coarse [B, C, f, n] of any resolution → [B, width, F/2, N/2]."""
        angles = t[:, None] * (2.0 ** torch.arange(FREQUENCIES, device=t.device) * math.pi)
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)
        moment = F.silu(self.moment(waves.to(x.dtype)))
        h = self.first(x)
        kept = []
        for level, blocks in enumerate(self.down):
            h = blocks(h, moment)
            kept.append(h)
            if level + 1 < self.levels:
                h = self.lower[level](h)
        if self.join is not None and coarse is not None:
            h = h + F.interpolate(self.join(coarse.to(h.dtype)), size=h.shape[-2:], mode="nearest")
        h = self.centre(h, moment)
        for step, blocks in enumerate(self.up):
            h = blocks(torch.cat([h, kept.pop()], dim=1), moment)
            if step + 1 < self.levels:
                h = F.pixel_shuffle(self.raise_[step](h), 2)
        return h
