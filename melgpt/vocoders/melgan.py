"""MelGAN's generator (Kumar et al. 2019, arXiv 1910.06711), as the originals used it.

Written with 2-D convolutions of height 1 in `channels_last`: the same sums as the 1-D ones, but on a CPU the
1-D ones miss the fast kernels (1.7 times as slow in float32, 4.4 times in bfloat16).
"""

import math
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from melgpt.config import KindConfig
from melgpt.types import MelScale
from melgpt.vocoders.base import Vocoder

LEAK = 0.2
EDGE = 3
"""Reflected samples at either end of the first and the last convolution, of width 7."""


def ratios_of(hop: int) -> tuple[int, ...]:
    """Upsampling steps whose product is `hop`: two big ones (at most 8), then the rest in two.

    256 gives the originals' 8 8 2 2.
    """
    ratios, rest = [], hop
    for _ in range(2):
        ratios.append(max(r for r in range(1, 9) if rest % r == 0))
        rest //= ratios[-1]
    larger = min(r for r in range(1, rest + 1) if rest % r == 0 and r * r >= rest)
    return tuple(r for r in (*ratios, larger, rest // larger) if r > 1)


class MelGANConfig(KindConfig):
    """Sizes of the generator; the defaults are the originals'."""

    kind: str = "melgan"
    mel: MelScale = MelScale()
    """The mel that it was trained on."""
    ngf: int = Field(32, ge=1)
    """Channels of the last stage; each stage before has twice as many."""
    ratios: tuple[int, ...] = Field(default_factory=lambda values: ratios_of(values["mel"].hop))
    """Upsampling of each stage; their product is the mel's hop. Left out: found from the hop."""
    residual_blocks: int = Field(3, ge=1)
    """Residual blocks of a stage, with dilations 1, 3, 9 and so on."""

    @model_validator(mode="after")
    def _ratios_make_a_hop(self) -> Self:
        product = 1
        for ratio in self.ratios:
            product *= ratio
        if product != self.mel.hop or min(self.ratios, default=0) < 2:
            raise ValueError(
                f"the ratios {self.ratios} must each be at least 2 and multiply to the hop {self.mel.hop}"
            )
        return self


class MelGAN(Vocoder):
    """Generator: mel in [0, 1] → sound."""

    Config = MelGANConfig

    def __init__(self, config: MelGANConfig) -> None:
        super().__init__()
        self.config = config
        width = config.ngf * 2 ** len(config.ratios)
        self.first = _conv(config.mel.n_mels, width, 2 * EDGE + 1)
        self.stages = nn.ModuleList()
        for ratio in config.ratios:
            self.stages.append(_Stage(width, ratio, config.residual_blocks))
            width //= 2
        self.last = _conv(width, 1, 2 * EDGE + 1)
        # A reflection must be shorter than what it mirrors.
        widest = 3 ** (config.residual_blocks - 1)
        self.shortest = max(EDGE + 1, widest // config.ratios[0] + 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def scale(self) -> MelScale:
        return self.config.mel

    def to_bf16(self) -> None:
        """Hold all weights in bf16, without their normalisation, whose rounding would add up."""
        for module in self.modules():
            if is_parametrized(module):
                remove_parametrizations(module, "weight")
        self.to(torch.bfloat16)

    @property
    def reach(self) -> int:  # type: ignore[override]
        """Frames to either side that a sample depends on."""
        blocks = sum(3**i for i in range(self.config.residual_blocks))
        rate, frames = 1, float(EDGE)
        for ratio in self.config.ratios:
            frames += 1 / rate
            rate *= ratio
            frames += blocks / rate
        return math.ceil(frames + EDGE / rate)

    def forward(self, mel: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Mel [B, F, N] in [0, 1] → samples [B, T] float32 in [-1, 1], T = hop * N.

        Nothing is drawn from the generator. Very short mels are continued with silence and cut again.
        """
        frames = mel.shape[-1]
        mel = F.pad(mel, (0, max(0, self.shortest - frames)))
        x = mel.to(self.last.weight.dtype).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        x = self.first(_mirror(x, EDGE))  # [B, D, 1, N]
        for stage in self.stages:
            x = stage(x)
        samples = torch.tanh(self.last(_mirror(F.leaky_relu(x, LEAK), EDGE)))
        return samples[:, 0, 0, : frames * self.scale.hop].float()


class _Stage(nn.Module):
    """[B, D, 1, L] → [B, D / 2, 1, L * ratio]: upsampling, then residual blocks that look ever wider."""

    def __init__(self, width: int, ratio: int, blocks: int) -> None:
        super().__init__()
        self.up = weight_norm(
            nn.ConvTranspose2d(
                width,
                width // 2,
                (1, 2 * ratio),
                stride=(1, ratio),
                padding=(0, ratio // 2 + ratio % 2),
                output_padding=(0, ratio % 2),
            )
        )
        self.blocks = nn.ModuleList(_Block(width // 2, 3**i) for i in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(F.leaky_relu(x, LEAK))
        for block in self.blocks:
            x = block(x)
        return x


class _Block(nn.Module):
    """Residual block [B, D, 1, L] with a 1x1 convolution in its shortcut."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.wide = _conv(width, width, 3, dilation)
        self.point = _conv(width, width, 1)
        self.shortcut = _conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.wide(_mirror(F.leaky_relu(x, LEAK), self.dilation))
        return self.shortcut(x) + self.point(F.leaky_relu(inner, LEAK))


def _conv(inputs: int, outputs: int, width: int, dilation: int = 1) -> nn.Conv2d:
    return weight_norm(nn.Conv2d(inputs, outputs, (1, width), dilation=(1, dilation)))


def _mirror(x: Tensor, reach: int) -> Tensor:
    return F.pad(x, (reach, reach, 0, 0), mode="reflect")
