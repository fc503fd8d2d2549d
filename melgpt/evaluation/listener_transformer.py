"""A listener that attends: overlapping patches of 16 bands x 16 frames, a small transformer, their mean.

The patches' layers as Xiao et al. 2021, "Early Convolutions Help Transformers See Better",
https://arxiv.org/abs/2106.14881: without them a transformer learns little from a few hundred clips.
"""

import math

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from melgpt.evaluation.listener import Listener, ListenerConfig, convolution, first_layer


class ListenerTransformerConfig(ListenerConfig):
    """Patches and a transformer over them."""

    kind: str = "listener_transformer"
    """Registered name of the classifier."""
    layers: int = Field(2, ge=1)
    """Transformer layers."""
    heads: int = Field(4, ge=1)
    """Attention heads; width must divide by them."""


class ListenerTransformer(Listener):
    """Mels [B, F, N] in [0, 1] → logits [B, classes]."""

    Config = ListenerTransformerConfig

    def __init__(self, config: ListenerTransformerConfig) -> None:
        super().__init__(config)
        width = config.width
        self.patches = nn.Sequential(
            first_layer(width // 4),
            convolution(width // 4, width // 2, 2),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1),
        )
        self.bands = nn.Parameter(0.02 * torch.randn(math.ceil(config.mel.n_mels / 16), width))
        layer = nn.TransformerEncoderLayer(
            width, config.heads, 2 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(
            layer, config.layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )

    def embed(self, values: Tensor) -> Tensor:
        patches = self.patches(values) + self.bands.T[:, :, None]
        # Where in time a patch lies is left out: a sound is of the same class wherever it begins.
        return self.transformer(rearrange(patches, "b c f n -> b (f n) c")).mean(1)
