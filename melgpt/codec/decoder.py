"""Decoder of the VQ-GAN: latent [B, Z, H, W] → mel [B, 1, F, N], about [-1, 1], not clamped."""

from torch import Tensor, nn

from melgpt.codec.shape import NetworkConfig
from melgpt.nn.convolution import (
    Conv3x3,
    NormSiLU,
    ResidualBlock,
    SelfAttention,
    Upsample,
    fold_out,
    middle,
)


class DecoderLevel(nn.Module):
    """One residual block more than the encoder's level, with its attention, then an upsampling."""

    def __init__(self, config: NetworkConfig, level: int) -> None:
        super().__init__()
        inputs, outputs = config.width(min(level + 1, config.levels - 1)), config.width(level)
        attend = level in config.attention_levels
        self.blocks = nn.ModuleList(
            ResidualBlock(inputs if i == 0 else outputs, outputs, config.dropout, config.narrowest_group)
            for i in range(config.residual_blocks + 1)
        )
        self.attentions = nn.ModuleList(
            SelfAttention(outputs, config.narrowest_group) for _ in self.blocks if attend
        )
        self.upsample = Upsample(outputs, config.strides[level - 1]) if level > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x)
            if self.attentions:
                x = self.attentions[i](x)
        return self.upsample(x)


class Decoder(nn.Module):
    """First layer, middle, levels from coarse to fine (levels.0 is the coarsest), last layer."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        deepest = config.width(config.levels - 1)
        self.stem_stride = config.stem_stride
        self.conv_in = Conv3x3(config.latent, deepest)
        self.middle = middle(deepest, config.dropout, config.middle_attention, config.narrowest_group)
        self.levels = nn.Sequential(
            *(DecoderLevel(config, level) for level in reversed(range(config.levels)))
        )
        self.norm_out = NormSiLU(config.width(0), config.narrowest_group)
        self.conv_out = nn.Conv2d(
            config.width(0), config.stem_stride[0] * config.stem_stride[1], 3, padding=1
        )

    def forward(self, latent: Tensor) -> Tensor:
        return self.finish(self.approach(latent))

    def approach(self, latent: Tensor) -> Tensor:
        """All but the last layer, clip by clip: latent [B, Z, H, W] → its input [B, C, F / f, N / t]."""
        return self.norm_out(self.levels(self.middle(self.conv_in(latent))))

    def finish(self, h: Tensor) -> Tensor:
        """The last layer: what `approach` gave → mel [B, 1, F, N]."""
        return fold_out(self.conv_out(h), self.stem_stride)
