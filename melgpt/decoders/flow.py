"""A decoder that samples the detail which the codec leaves out, by rectified flow.

A network learns the velocity from noise to the residual, which is the real mel less the codec's; a few steps
along it draw a new residual. Liu, Gong, Liu 2022, "Flow Straight and Fast", https://arxiv.org/abs/2209.03003;
Lipman et al. 2022, "Flow Matching for Generative Modeling", https://arxiv.org/abs/2210.02747.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.decoders.base import MelDecoder, MelDecoderConfig
from melgpt.decoders.unet import MomentUNet
from melgpt.errors import UserError
from melgpt.nn.convolution import Conv3x3
from melgpt.types import MelScale

BAND_CHANNELS = 4
"""Learnt channels that tell a place its band."""
HEAD = 16
"""Channels at full resolution."""


class FlowConfig(MelDecoderConfig):
    """Options of the flow decoder."""

    kind: str = "flow"
    codes: bool = True
    """Whether the looked-up codes are seen beside the codec's mel."""
    depth: int = Field(0, ge=0)
    """Channels of a looked-up code: they follow from the codec."""
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field((48, 96, 160), min_length=1)
    """Channels at half, quarter, … of the resolution; multiples of 16 are quickest."""
    blocks: int = Field(2, ge=1)
    """Residual blocks of each level, on either way."""
    steps: int = Field(3, ge=1, le=64)
    """Steps from noise to a mel: more are closer to the learnt sounds and take proportionally longer."""
    solver: Literal["euler", "midpoint"] = "midpoint"
    """How a step follows the velocity; a midpoint step asks the network twice, and three of them are nearer
    than eight of Euler's (docs/LOG.md)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.mel.n_mels % 2 ** len(self.widths):
            raise ValueError(
                f"{self.mel.n_mels} mel bands cannot be halved {len(self.widths)} times: give fewer widths"
            )
        return self

    def for_codec(self, depth: int, token_frames: int) -> Self:
        """See MelDecoderConfig."""
        multiple = 2 ** len(self.widths)
        if token_frames % multiple:
            raise UserError(
                f"decoder.widths names {len(self.widths)} widths, for which a token must cover a multiple of "
                f"{multiple} frames, not {token_frames}: give fewer widths"
            )
        return self.changed(depth=depth if self.codes else 0)


class FlowDecoder(MelDecoder):
    """Draws the residual between a real mel and the codec's, given the codec's mel and its codes."""

    Config = FlowConfig
    spread: Tensor

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("spread", torch.full((config.mel.n_mels, 1), 0.1))
        """Standard deviation of the residual in each band [F, 1], of mels in [-1, 1]."""
        self.bands = nn.Parameter(0.1 * torch.randn(1, BAND_CHANNELS, config.mel.n_mels, 1))
        inputs = 2 + BAND_CHANNELS
        self.network = MomentUNet(inputs, config.widths, config.blocks, config.depth)
        self.fold = nn.Conv2d(config.widths[0], 4 * HEAD, 1)
        self.head = nn.Conv2d(HEAD + inputs, HEAD, 3, padding=1)
        self.last = nn.Conv2d(HEAD, 1, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def scale(self) -> MelScale:
        return self.config.mel

    @property
    def reach(self) -> int:  # type: ignore[override]
        """Of one look at the network, times the looks."""
        looks = self.config.steps * (2 if self.config.solver == "midpoint" else 1)
        return (self.network.reach + 3) * looks

    def to_bf16(self) -> None:
        """Hold the convolutions in bf16; the mel, on its way from noise, stays in float32."""
        for module in (self.network, self.fold, self.head, self.last):
            module.to(torch.bfloat16)

    def write_quickly(self, *, rounded: bool, kernels: bool) -> None:
        """Whether convolutions may take the kernels."""
        for module in self.modules():
            if isinstance(module, Conv3x3):
                module.compiled = kernels

    def velocity(self, x: Tensor, smooth: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """How x [B, F, N] moves at the moments t [B] on its way from noise to residual: [B, F, N].

        smooth: the codec's mel [B, F, N], here in [-1, 1]; z: its looked-up codes [B, D, H, W].
        """
        bands = self.bands.expand(len(x), -1, -1, x.shape[-1]).to(x.dtype)
        full = torch.cat([x[:, None], smooth[:, None], bands], dim=1)
        full = full.to(self.last.weight.dtype, memory_format=torch.channels_last)
        h = self.network(full, t, z if self.config.depth else None)
        h = F.pixel_shuffle(self.fold(h), 2)
        return self.last(F.silu(self.head(torch.cat([h, full.to(h.dtype)], dim=1)))).squeeze(1)

    def loss(self, target: Tensor, smooth: Tensor, z: Tensor) -> Tensor:
        """Square error of the velocity [B] at a moment that is drawn for each clip.

        In units of the residual's variance; 2 is what a velocity of 0 has.
        """
        residual = 2 * (target - smooth) / self.spread
        noise = torch.randn_like(residual)
        t = torch.randn(len(target), device=target.device).sigmoid()
        x = noise.lerp(residual, t[:, None, None])
        velocity = self.velocity(x, 2 * smooth - 1, z, t)
        return (velocity.float() - (residual - noise)).square().mean((1, 2))

    @torch.no_grad()
    def measure(self, residual: Tensor) -> None:
        """Take the spread of each band from residuals [B, F, N] of mels in [0, 1]."""
        self.spread.copy_(2 * residual.square().mean((0, 2)).sqrt().clamp(min=1e-3)[:, None])

    @torch.no_grad()
    def refine(self, smooth: Tensor, z: Tensor, noise: Tensor) -> Tensor:
        """The sharp mel: `steps` equal steps from the noise, no more than the residual's spread wide."""
        x, given = noise, 2 * smooth - 1
        size = 1 / self.config.steps
        for step in range(self.config.steps):
            t = torch.full((len(x),), step * size, device=x.device)
            change = self.velocity(x, given, z, t).to(x.dtype)
            if self.config.solver == "midpoint":
                change = self.velocity(x + change * (size / 2), given, z, t + size / 2).to(x.dtype)
            x = x + change * size
        return (smooth + x * self.spread / 2).clamp(0, 1)
