"""The GPT-VAE: codes of a sound → one vector z → the codes again; between two vectors lie other sounds.

Variational auto-encoder: Kingma and Welling 2014, https://arxiv.org/abs/1312.6114; over sequences: Bowman et
al. 2016, https://arxiv.org/abs/1511.06349. All sequences have the same length: a shorter sound is followed by
columns of silence (`gpt.order.fill_up`), as the end of a sound is; its last column repeated would ring on.
"""

from collections.abc import Sequence
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.config import KindConfig
from melgpt.gpt.model import GPT, Transformer, initialise
from melgpt.gpt.sampling import Sampling, sample
from melgpt.nn.transformer import BlockConfig

COLLAPSED = "z says nothing about its sound (posterior collapse)"
"""What is said of a VAE with no active units, after training and when it is used."""


class GPTVAEConfig(KindConfig):
    """A GPT-VAE. The last three options are taken from the data and the codec when it is trained."""

    kind: str = "gpt_vae"
    """Registered name of the VAE."""
    encoder: BlockConfig = BlockConfig(dropout=0.0)
    """The transformer that reads a sound; every position sees all others."""
    decoder: BlockConfig = BlockConfig()
    """The transformer that writes it; z is its first position, so it is as wide as the encoder."""
    row_aware: bool = True
    """Tell the transformers each token's row, with an output bias for each row; the originals do not."""
    codebook: int = Field(1, ge=1)
    """Size K of the codec's codebook (from the codec)."""
    rows: int = Field(1, ge=1)
    """Rows H of the code grid (from the codec)."""
    columns: int = Field(1, ge=1)
    """Columns W of the code grid (from the data's longest clip)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.encoder.width != self.decoder.width:
            raise ValueError(
                "z is as wide as both transformers: encoder.width and decoder.width must be equal, not "
                f"{self.encoder.width} and {self.decoder.width}"
            )
        return self


class Encoder(Transformer):
    """Tokens → mean and log-variance of z, read off the last position."""

    def __init__(self, config: BlockConfig, *, vocabulary: int, context: int, rows: int) -> None:
        super().__init__(config, vocabulary=vocabulary, context=context, rows=rows, causal=False)
        self.head = nn.Linear(config.width, 2 * config.width, bias=False)
        self.apply(initialise)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [B, S] → mean and log-variance, [B, C] each."""
        last = self._blocks(self._embed(tokens, 0), 0, None)[:, -1]
        mean, log_variance = self.head(last).float().chunk(2, dim=-1)
        return mean, log_variance


class GPTVAE(nn.Module):
    """z of a sound is drawn from the encoder's N(mean, variance), that of a new one from N(0, 1)."""

    Config = GPTVAEConfig
    family = "vae"

    def __init__(self, config: GPTVAEConfig) -> None:
        super().__init__()
        self.config = config
        rows = config.rows if config.row_aware else 0
        self.encoder = Encoder(config.encoder, vocabulary=config.codebook, context=self.length, rows=rows)
        self.decoder = GPT(config.decoder, vocabulary=config.codebook, context=1 + self.length, rows=rows)

    @property
    def length(self) -> int:
        """Tokens of a sound."""
        return self.config.rows * self.config.columns

    @property
    def latent(self) -> int:
        """Length C of z."""
        return self.config.decoder.width

    def to_bf16(self) -> None:
        """The half that writes; z is read off in float32."""
        self.decoder.to_bf16()

    def write_quickly(self, *, rounded: bool, kernels: bool) -> None:
        """As the GPT."""
        self.decoder.write_quickly(rounded=rounded, kernels=kernels)

    def encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [B, length] → mean and log-variance of z, [B, C] each; ValueError for another length."""
        if tokens.shape[1] != self.length:
            raise ValueError(f"a whole sound has {self.length} tokens, not {tokens.shape[1]}; see fill_up")
        mean, log_variance = self.encoder(tokens)
        return mean, log_variance

    def draw(self, mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """z [B, C] from N(mean, exp(log_variance)), differentiable; the generator is one of the CPU."""
        if generator is None:
            noise = torch.randn_like(mean)
        else:
            noise = torch.randn(mean.shape, generator=generator).to(mean)
        return mean + noise * (0.5 * log_variance).exp()

    def draw_new(self, streams: Sequence[torch.Generator]) -> Tensor:
        """z [B, C] of new sounds, from N(0, 1): one random stream a sound."""
        z = torch.stack([torch.randn(self.latent, generator=stream) for stream in streams])
        return z.to(self.decoder.head.weight)

    def decode(self, tokens: Tensor, z: Tensor) -> Tensor:
        """tokens [B, S], z [B, C] → logits [B, S + 1, K] of tokens 0 … S."""
        return self.decoder(tokens, z[:, None])

    def error(self, tokens: Tensor, z: Tensor) -> Tensor:
        """Reconstruction error [B] in nats: minus the log-likelihood of all tokens [B, S], given z [B, C]."""
        logits = self.decode(tokens[:, :-1], z).float()
        return F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none").sum(1)

    def write(
        self, z: Tensor, sampling: Sampling, streams: Sequence[torch.Generator], *, length: int | None = None
    ) -> Tensor:
        """Tokens [B, length] of the sounds at z [B, C]: whole sounds, or only their first `length` tokens.

        Temperature 0 takes the likeliest token each time. For guidance, z = 0 stands for no condition: the
        middle of all sounds.
        """
        prefix = z[:, None]
        tokens = sample(
            self.decoder,
            prefix,
            torch.zeros_like(prefix),
            length=self.length if length is None else length,
            end=None,
            rows=self.config.rows,
            sampling=sampling,
            streams=streams,
        )
        return torch.stack(tokens)
