"""The codec: a VQ-GAN on mel spectrograms, any quantizer (Iashin and Rahtu 2021, https://arxiv.org/abs/2110.08791)."""

import math
from typing import Self

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt import registry
from melgpt.codec.decoder import Decoder
from melgpt.codec.encoder import Encoder
from melgpt.codec.shape import NetworkConfig
from melgpt.config import KindConfig
from melgpt.nn.convolution import Conv3x3, NormSiLU
from melgpt.types import MelScale, Quantized


class CodecConfig(KindConfig):
    """A codec: its mel scale, its network, its quantizer."""

    kind: str = "vqgan"
    """Registered name of the codec."""
    mel: MelScale = MelScale()
    """Scale of the spectrograms that it reads and writes."""
    network: NetworkConfig = NetworkConfig()
    """Encoder and decoder."""
    quantizer: registry.AnyQuantizer = registry.configure("quantizer", "vq")
    """How a latent becomes a code."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.mel.n_mels % self.network.token_size[0]:
            raise ValueError(
                f"{self.mel.n_mels} mel bands do not divide into tokens of {self.network.token_size[0]} "
                "bands: change network.strides or network.stem_stride"
            )
        return self

    @property
    def rows(self) -> int:
        """Rows H of the code grid."""
        return self.mel.n_mels // self.network.token_size[0]

    def columns(self, frames: int) -> int:
        """Columns W of the code grid of so many mel frames; the last one may be padding in part."""
        return math.ceil(frames / self.network.token_size[1])


class Codec(nn.Module):
    """Mel → codes → mel. `encode` and `decode` work in [-1, 1], `tokenize` and `detokenize` in [0, 1]."""

    Config = CodecConfig
    family = "codec"

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.network)
        self.decoder = Decoder(config.network)
        self.quantizer = registry.build("quantizer", config.quantizer)
        self.before = nn.Conv2d(config.network.latent, self.quantizer.dim, 1)
        self.after = nn.Conv2d(self.quantizer.dim, config.network.latent, 1)
        self.lay_out(torch.channels_last)

    def lay_out(self, layout: torch.memory_format) -> None:
        """Set how weights and maps lie in memory; `channels_last` suits most processors."""
        self.layout = layout
        self.to(memory_format=layout)  # type: ignore[call-overload]

    @property
    def scale(self) -> MelScale:
        return self.config.mel

    @property
    def codebook_size(self) -> int:
        return int(self.quantizer.codebook_size)

    def latent(self, values: Tensor) -> Tensor:
        """values [B, 1, F, N] in [-1, 1] → z [B, D, H, W] before the quantizer."""
        return self.before(self.encoder(values.contiguous(memory_format=self.layout)))

    def encode(self, values: Tensor) -> Quantized:
        """values [B, 1, F, N] in [-1, 1], N a multiple of the token's frames → the quantizer's result."""
        return self.quantize(self.latent(values))

    def quantize(self, z: Tensor) -> Quantized:
        """z [B, D, H, W] of any precision → the quantizer's result; in float32: else some are others."""
        with torch.autocast(z.device.type, enabled=False):
            quantized: Quantized = self.quantizer(z.float())
            return quantized

    def decode(self, z: Tensor) -> Tensor:
        """z [B, D, H, W] on the codes → values [B, 1, F, N], about [-1, 1], not clamped."""
        return self.decoder(self.after(z.to(self.after.weight.dtype))).to(z.dtype)

    def to_bf16(self) -> None:
        """Hold the half that decodes in bf16; codes are taken in float32, in bf16 some would be others."""
        for module in (self.after, self.decoder):
            module.to(torch.bfloat16)

    def write_quickly(self, *, rounded: bool, kernels: bool) -> None:
        """Whether convolutions and norms may take the kernels; how exact they are says the precision."""
        for module in self.modules():
            if isinstance(module, Conv3x3 | NormSiLU):
                module.compiled = kernels

    def tokenize(self, mel: Tensor) -> Tensor:
        """mel [B, F, N] in [0, 1], any N (padded with silence to whole columns) → codes [B, H, W] int64."""
        missing = -mel.shape[-1] % self.config.network.token_size[1]
        return self.encode(F.pad(mel, (0, missing)).unsqueeze(1) * 2 - 1).codes

    def silent_column(self) -> Tensor:
        """Codes [H] of a column of silence, far from the edges, where padding shows."""
        columns = 9
        silence = torch.zeros(1, self.scale.n_mels, columns * self.config.network.token_size[1])
        return self.tokenize(silence.to(self.before.weight.device))[0, :, columns // 2]

    def detokenize(self, codes: Tensor) -> Tensor:
        """codes [B, H, W] int64 → mel [B, F, W * token frames] in [0, 1]."""
        return self.mel_of(self.quantizer.lookup(codes))

    def mel_of(self, z: Tensor) -> Tensor:
        """z [B, D, H, W] on the codes → mel [B, F, W * token frames] in [0, 1]."""
        values = self.decode(z)
        return ((values.squeeze(1) + 1) / 2).clamp(0, 1)
