"""Batches for the prior and the VAE: code sequences, balanced over the classes.

An item is a function of seed, epoch and place alone, so that a resumed run sees the same ones.
"""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from melgpt.data.code_store import CodeStore
from melgpt.gpt.order import fill_up
from melgpt.training.settings import SequenceTraining

IGNORED = -100
"""Target of a position that does not count."""


class Sequences(Dataset[tuple[Tensor, int]]):
    """One epoch of training sequences: tokens [S], with an end token where the sound ends, and the class."""

    def __init__(
        self,
        codes: CodeStore,
        config: SequenceTraining,
        *,
        rows: int,
        end: int | None,
        epoch: int,
        length: int,
    ) -> None:
        self.codes, self.config, self.rows, self.end = codes, config, rows, end
        self.epoch, self.length = epoch, length
        labels = np.asarray(codes.index["label"])
        self.order = np.argsort(labels, kind="stable")
        self.classes, self.first, self.size = np.unique(
            labels[self.order], return_index=True, return_counts=True
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        rng = np.random.default_rng([self.config.seed, self.epoch, index])
        group = int(rng.integers(len(self.classes)))
        number = int(self.order[self.first[group] + rng.integers(self.size[group])])
        tokens, label = self.codes.sequence(number, self.end)
        if not self.codes.index[number]["ends"] and rng.random() < self.config.roll:
            tokens = tokens.roll(self.rows * int(rng.integers(len(tokens) // self.rows)))
        return tokens, label


class AllSequences(Dataset[tuple[Tensor, int]]):
    """Every sequence once, in order: for validation."""

    def __init__(self, codes: CodeStore, end: int | None) -> None:
        self.codes, self.end = codes, end

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.codes.sequence(index, self.end)


def collate(batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """Targets [B, S] padded with IGNORED to the longest, and labels [B]."""
    targets = torch.nn.utils.rnn.pad_sequence([t for t, _ in batch], batch_first=True, padding_value=IGNORED)
    return targets, torch.tensor([label for _, label in batch])


def collate_whole(batch: list[tuple[Tensor, int]], *, silence: Tensor, length: int) -> Tensor:
    """Tokens [B, length]: shorter sounds are followed by columns of silence, whose codes are silence [H]."""
    return torch.stack([fill_up(tokens, silence, length) for tokens, _ in batch])
