"""Condition on a class: one learned vector a class, and one for "no class" (classifier-free guidance).

Guidance: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from melgpt.config import KindConfig


class ClassLabelConfig(KindConfig):
    """A vector for each class."""

    kind: str = "class_label"
    """Registered name of the conditioning."""
    drop: float = Field(0.1, ge=0, le=1)
    """Share of the training clips whose class is hidden, so that guidance works."""


class ClassLabel(nn.Module):
    """Class indices → a prefix of one position."""

    Config = ClassLabelConfig
    length = 1

    def __init__(self, config: ClassLabelConfig, *, labels: int, width: int) -> None:
        super().__init__()
        self.config, self.labels = config, labels
        self.embedding = nn.Embedding(labels + 1, width)
        nn.init.normal_(self.embedding.weight, 0.0, 0.02)

    def forward(self, label: Tensor) -> Tensor:
        """label [B] int64 in [0, labels], where `labels` stands for no class → prefix [B, 1, C].

        In training, labels are hidden at random with probability `drop`.
        """
        if self.training and self.config.drop > 0:
            hidden = torch.rand(label.shape, device=label.device) < self.config.drop
            label = torch.where(hidden, self.labels, label)
        return self.embedding(label)[:, None]

    def nothing(self, batch: int) -> Tensor:
        """The prefix [B, 1, C] of no class."""
        return self.embedding(torch.full((batch,), self.labels, device=self.embedding.weight.device))[:, None]
