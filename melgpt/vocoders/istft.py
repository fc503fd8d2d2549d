"""Mel → sound through a spectrum, after Vocos (Siuzdak 2023, https://arxiv.org/abs/2306.00814).

ConvNeXt blocks (Liu et al. 2022, https://arxiv.org/abs/2201.03545) at the rate of the mel's frames predict
magnitudes and phases; one inverse short-time Fourier transform makes the sound. With the skip, which is not
Vocos', they only say how the magnitudes differ from what the mel tells of them; the phases are found. All
maps are [B, C, N, 1] in `channels_last`, which the point-wise layers see as [B, N, C] without a copy.
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.audio.mel import mel_filterbank
from melgpt.config import KindConfig
from melgpt.types import MelScale
from melgpt.vocoders.base import Vocoder
from melgpt.vocoders.spectrum import InverseSTFT

SCATTER = 2.0
"""Turns, in radians, for each unit by which a band's logarithm differs from that of another frame."""
WIDTH = 7
"""Frames that a convolution sees."""


class ISTFTConfig(KindConfig):
    """Sizes of the network; the published ones are width 512, hidden 1536, 8 layers, no refining."""

    kind: str = "istft"
    mel: MelScale = MelScale()
    """The mel that it was trained on; its window and hop are those of the transform."""
    width: int = Field(128, ge=1)
    """Channels."""
    hidden: int = Field(256, ge=1)
    """Channels within a block."""
    layers: int = Field(4, ge=1)
    """Blocks."""
    padding: Literal["center", "same"] = "center"
    """Frame n lies around sample n * hop, or half a hop later (Vocos' `same`)."""
    skip: bool = True
    """Magnitudes start from what the mel says of them, which takes long to learn, and phases from anything;
    False: as Vocos."""
    fit: int = Field(10, ge=0)
    """With the skip: steps that bring the magnitudes to the mel as given; it learns through them."""
    refine: int = Field(32, ge=0)
    """Steps after Griffin and Lim (1984) that make the phases of neighbouring frames suit each other."""


class ISTFTVocoder(Vocoder):
    """Generator: mel in [0, 1] → sound."""

    Config = ISTFTConfig

    def __init__(self, config: ISTFTConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = Head(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def scale(self) -> MelScale:
        return self.config.mel

    @property
    def reach(self) -> int:  # type: ignore[override]
        """Frames to either side that a sample depends on."""
        transforms = 1 + 2 * self.config.refine
        return (self.config.layers + 1) * (WIDTH // 2) + transforms * self.head.istft.reach

    @property
    def learns_magnitudes(self) -> bool:
        """Whether it is enough for it to learn `magnitudes`, without a sound being made."""
        return self.config.skip

    def write_quickly(self, *, rounded: bool, kernels: bool) -> None:
        """Refine with kernels that are compiled for it; nothing is rounded here."""
        self.head.istft.compiled = kernels

    def to_bf16(self) -> None:
        """Hold the blocks in bf16; the head, where rounding would be heard as noise, stays in float32."""
        self.backbone.to(torch.bfloat16)

    def forward(self, mel: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Mel [B, F, N] in [0, 1] → samples [B, T] float32 in [-1, 1], T = hop * N.

        With the skip a value of 0 is silence, not the scale's smallest magnitude. Nothing is drawn from the
        generator.
        """
        log = self.log_bands(mel.float())
        return self.head(self.backbone(log), log, mel > 0).clamp(-1, 1)

    def magnitudes(self, mel: Tensor) -> Tensor:
        """Mel [B, F, N] in [0, 1] → the spectrum's magnitudes [B, N, n_fft // 2 + 1] before any refining."""
        log = self.log_bands(mel.float())
        return self.head.spectrum(self.backbone(log), log, mel > 0)[0]

    def log_bands(self, mel: Tensor) -> Tensor:
        """Values in [0, 1] → natural logarithms of the bands' magnitudes."""
        log = mel * (self.scale.high - self.scale.low) + self.scale.low
        return log * math.log(10) if self.scale.log == "log10" else log


class Backbone(nn.Module):
    """Log bands [B, F, N] → [B, N, C]."""

    def __init__(self, config: ISTFTConfig) -> None:
        super().__init__()
        self.embed = nn.Conv2d(config.mel.n_mels, config.width, (WIDTH, 1), padding=(WIDTH // 2, 0))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.convnext = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.final_layer_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.apply(_initialise)

    def forward(self, log: Tensor) -> Tensor:
        x = log.to(self.embed.weight.dtype).unsqueeze(3).contiguous(memory_format=torch.channels_last)
        x = _map(self.norm(_rows(self.embed(x))))
        for block in self.convnext:
            x = block(x)
        return self.final_layer_norm(_rows(x).squeeze(2))


class Block(nn.Module):
    """ConvNeXt block [B, C, N, 1]: along time channel by channel, then from channel to channel."""

    def __init__(self, config: ISTFTConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.dwconv = nn.Conv2d(width, width, (WIDTH, 1), padding=(WIDTH // 2, 0), groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, hidden)
        self.pwconv2 = nn.Linear(hidden, width)
        self.gamma = nn.Parameter(torch.full((width,), 1 / config.layers))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.pwconv2(F.gelu(self.pwconv1(self.norm(_rows(self.dwconv(x))))))
        return x + _map(self.gamma * inner)


class Head(nn.Module):
    """[B, N, C] → samples [B, hop * N], through magnitudes and phases."""

    areas: Tensor
    spread: Tensor
    turns: Tensor
    bank: Tensor
    mean: Tensor
    between: Tensor

    def __init__(self, config: ISTFTConfig) -> None:
        super().__init__()
        self.config = config
        bins = config.mel.n_fft // 2 + 1
        self.out = nn.Linear(config.width, bins if config.skip else 2 * bins)
        self.istft = InverseSTFT(config.mel.n_fft, config.mel.hop, config.padding)
        _initialise(self.out)
        if config.skip:
            weights, areas = _interpolation(config.mel)
            self.register_buffer("spread", weights, persistent=False)
            self.register_buffer("areas", areas, persistent=False)
            drawn = torch.randn(config.mel.n_mels, bins, generator=torch.Generator().manual_seed(0))
            self.register_buffer("turns", SCATTER * drawn, persistent=False)
            bank = mel_filterbank(config.mel)
            used = bank.sum(0).nonzero().flatten()
            self.inside = slice(int(used[0]), int(used[-1]) + 1)
            # Copies: the kept one may have been made where no gradients are.
            bank = bank[:, self.inside].clone()
            self.register_buffer("bank", bank, persistent=False)
            self.register_buffer("mean", bank / bank.sum(0).clamp(min=1e-12), persistent=False)
            self.register_buffer("between", (bank.sum(0) == 0).float(), persistent=False)

    def forward(self, x: Tensor, log: Tensor, heard: Tensor) -> Tensor:
        """log: of the bands' magnitudes [B, F, N]; heard: which of them are no silence."""
        return self.istft(*self.spectrum(x, log, heard), refine=self.config.refine)

    def spectrum(self, x: Tensor, log: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Magnitudes and phases [B, N, bins] in float32."""
        with torch.autocast(x.device.type, enabled=False):
            level = self.out(x.float())
            if not self.config.skip:
                level, phase = level.chunk(2, dim=-1)
                # The limit is Vocos': beyond it lies no sound, and the exponential runs away.
                return level.exp().clamp(max=100.0), phase
            log, heard = log.transpose(1, 2), heard.transpose(1, 2)
            # Any phases will do to begin with, if no two frames have the same. What is drawn from a frame's
            # mel is the same wherever the frame stands, so that pieces give the sound of the whole.
            phase = log @ self.turns
            level = level + (log - self.areas) @ self.spread
            magnitude = level.clamp(max=math.log(self.config.mel.n_fft)).exp() * heard.any(-1, keepdim=True)
            return self._with_bands(magnitude, log.exp() * heard), phase

    def _with_bands(self, magnitude: Tensor, bands: Tensor) -> Tensor:
        """Magnitudes [B, N, bins] nearer to having the bands [B, N, F]: Lee and Seung (2001)."""
        below, inner, above = magnitude.tensor_split((self.inside.start, self.inside.stop), dim=-1)
        for _ in range(self.config.fit):
            # A bin is scaled by the mean of what its bands want; one that is in none of them stays.
            wanted = bands / (inner @ self.bank.T).clamp(min=1e-9)
            inner = inner * (wanted @ self.mean + self.between)
        return torch.cat([below, inner, above], dim=-1)


def _interpolation(scale: MelScale) -> tuple[Tensor, Tensor]:
    """Weights [F, bins] that give each bin the mean of the bands around it, and the bands' log areas [F].

    A bin outside of all bands takes the nearest one's value.
    """
    bank = mel_filterbank(scale)
    covered = bank.sum(0) > 0
    weights = bank / bank.sum(0).clamp(min=1e-12)
    used = covered.nonzero().flatten()
    weights[:, : used[0]] = weights[:, used[:1]]
    weights[:, used[-1] + 1 :] = weights[:, used[-1:]]
    areas = bank.sum(1).clamp(min=1e-12).log()
    return weights.contiguous(), areas


def _rows(x: Tensor) -> Tensor:
    """[B, C, N, 1] → [B, N, 1, C], as it lies in memory."""
    return x.permute(0, 2, 3, 1)


def _map(x: Tensor) -> Tensor:
    """[B, N, 1, C] → [B, C, N, 1], as it lies in memory."""
    return x.permute(0, 3, 1, 2)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
