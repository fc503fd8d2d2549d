"""Condition on a video: one position a frame of its features, and in `frames_class` the class after them.

SpecVQGAN's GPTFeats and GPTFeatsClass (Iashin and Rahtu 2021, https://arxiv.org/abs/2110.08791): a
convolution of kernel 1 over the frames, which is one linear layer for all of them. Frames and class can be
hidden, in training at random, so that guidance works (https://arxiv.org/abs/2207.12598).
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.config import KindConfig


def resample(features: Tensor, frames: int) -> Tensor:
    """The originals' choice of frames: features [L, D] → [frames, D], evenly spaced, away from the start."""
    length = features.shape[0]
    return features[torch.arange(frames) * length // frames + length // (frames + 1)]


class FramesConfig(KindConfig):
    """Features of a video's frames. `depth` and `span` are taken from the data in training."""

    kind: str = "frames"
    """Registered name of the conditioning."""
    frames: int = Field(212, ge=1)
    """Frames chosen from the video, each a position of the prefix; the originals have 212, 53, 5 or 1."""
    drop: float = Field(0.1, ge=0, le=1)
    """Share of the training clips whose video is hidden, so that guidance works."""
    depth: int = Field(2048, ge=1)
    """Length D of a frame's features (from the data)."""
    span: int = Field(212, ge=1)
    """Frames of the video beside the longest sound (from the data)."""
    skip: int = Field(0, ge=0)
    """Frames of the video before the sound starts; the originals cut 1 off."""

    def see(self, features: Tensor, past: float = 0.0) -> Tensor:
        """What the model is shown of a video: features [L, D] of any length → [frames, D].

        past: where a window in a longer sound starts, in lengths of the window; a window stays inside the
        video where it can. Behind the end of the video there are zeros, as in the originals.
        """
        first = min(self.skip, len(features) - 1)
        first = max(first, min(first + round(past * self.span), len(features) - self.span))
        shown = features[first : first + self.span]
        return resample(F.pad(shown, (0, 0, 0, self.span - shown.shape[0])), self.frames)


class Frames(nn.Module):
    """Features of frames → a prefix of as many positions."""

    Config: type[FramesConfig] = FramesConfig
    takes_features = True
    takes_label = False

    def __init__(self, config: FramesConfig, *, labels: int, width: int) -> None:
        super().__init__()
        self.config, self.labels = config, labels
        self.embed = nn.Linear(config.depth, width)
        self.no_frame = nn.Parameter(torch.zeros(width))

    @property
    def length(self) -> int:
        """Positions P of the prefix."""
        return self.config.frames

    def forward(self, label: Tensor, features: Tensor | None = None) -> Tensor:
        """label [B] is not looked at; features [B, T, D], None for no video → prefix [B, T, C].

        In training, videos are hidden at random with probability `drop`.
        """
        hidden = torch.rand(label.shape, device=label.device) < (self.config.drop if self.training else 0)
        return self._frames(len(label), features, hidden)

    def nothing(self, batch: int) -> Tensor:
        """The prefix [B, P, C] of no condition."""
        return self.no_frame.expand(batch, self.config.frames, -1)

    def _frames(self, batch: int, features: Tensor | None, hidden: Tensor) -> Tensor:
        """Prefix [B, T, C]; hidden [B] tells the clips whose frames are not shown."""
        no_video = self.no_frame.expand(batch, self.config.frames, -1)
        if features is None:
            return no_video
        expected = (self.config.frames, self.config.depth)
        if features.shape[1:] != expected:
            raise ValueError(f"features {tuple(features.shape[1:])} a clip where {expected} are expected")
        return torch.where(hidden[:, None, None], no_video, self.embed(features))


class FramesClassConfig(FramesConfig):
    """Features of a video's frames, then a vector for the class."""

    kind: str = "frames_class"
    """Registered name of the conditioning."""
    drop: float = Field(0.1, ge=0, le=1 / 3)
    """Share of the training clips that hide video and class; as many hide the class alone, or the video."""


class FramesClass(Frames):
    """Features of frames and the class → a prefix with the class last."""

    Config = FramesClassConfig
    takes_label = True

    def __init__(self, config: FramesClassConfig, *, labels: int, width: int) -> None:
        super().__init__(config, labels=labels, width=width)
        self.embedding = nn.Embedding(labels + 1, width)
        nn.init.normal_(self.embedding.weight, 0.0, 0.02)

    @property
    def length(self) -> int:
        return self.config.frames + 1

    def forward(self, label: Tensor, features: Tensor | None = None) -> Tensor:
        """label [B] in [0, labels], where `labels` stands for no class; features [B, T, D], None for no video
        → prefix [B, T + 1, C]. In training both, the class or the video are hidden at random."""
        drop = self.config.drop if self.training else 0.0
        draw = torch.rand(label.shape, device=label.device)
        no_class = draw < 2 * drop
        no_video = (draw < drop) | ((draw >= 2 * drop) & (draw < 3 * drop))
        classes = self.embedding(torch.where(no_class, self.labels, label))
        return torch.cat([self._frames(len(label), features, no_video), classes[:, None]], dim=1)

    def nothing(self, batch: int) -> Tensor:
        no_class = self.embedding.weight[self.labels].expand(batch, 1, -1)
        return torch.cat([super().nothing(batch), no_class], dim=1)
