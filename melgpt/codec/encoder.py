"""Encoder of the VQ-GAN: mel [B, 1, F, N] in [-1, 1] → latent [B, Z, H, W]."""

from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.codec.shape import NetworkConfig
from melgpt.nn.convolution import Conv3x3, Downsample, NormSiLU, ResidualBlock, SelfAttention, middle, stem


class EncoderLevel(nn.Module):
    """Residual blocks at one resolution, each followed by attention where asked for, then a downsampling."""

    def __init__(self, config: NetworkConfig, level: int) -> None:
        super().__init__()
        inputs, outputs = config.width(level - 1), config.width(level)
        attend = level in config.attention_levels
        self.blocks = nn.ModuleList(
            ResidualBlock(inputs if i == 0 else outputs, outputs, config.dropout, config.narrowest_group)
            for i in range(config.residual_blocks)
        )
        self.attentions = nn.ModuleList(
            SelfAttention(outputs, config.narrowest_group) for _ in self.blocks if attend
        )
        last = level == config.levels - 1
        self.downsample = nn.Identity() if last else Downsample(outputs, config.strides[level])

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x)
            if self.attentions:
                x = self.attentions[i](x)
        return self.downsample(x)


class Encoder(nn.Module):
    """First layer, levels from fine to coarse, middle, last layer."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        deepest = config.width(config.levels - 1)
        self.conv_in = stem(config.channels, config.stem_stride)
        self.levels = nn.Sequential(*(EncoderLevel(config, level) for level in range(config.levels)))
        self.middle = middle(deepest, config.dropout, config.middle_attention, config.narrowest_group)
        self.norm_out = NormSiLU(deepest, config.narrowest_group)
        self.conv_out = Conv3x3(deepest, config.latent)

    def forward(self, values: Tensor) -> Tensor:
        """values [B, 1, F, N] → [B, Z, F / total stride, N / total stride]; both must divide."""
        h = self.middle(self.levels(self._first(values)))
        return self.conv_out(self.norm_out(h))

    def _first(self, values: Tensor) -> Tensor:
        """conv_in; of two columns where one is to come out of several.

        A kernel of oneDNN for AVX-512 (torch 2.13) makes a single one out of what lies beyond the map. More
        silence behind is what the padding is, too.
        """
        across = self.conv_in.stride[1]
        if across == 1 or values.shape[-1] > across:
            return self.conv_in(values)
        return self.conv_in(F.pad(values, (0, across)))[..., :1]
