"""Batches for the prior and the VAE: code sequences, balanced over the classes.

An item is a function of seed, epoch and place alone, so that a resumed run sees the same ones.
It is (tokens [S], class) and, for a prior that sees videos, the frames [T, D] that it is shown.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from melgpt.data.code_store import CodeStore
from melgpt.data.features import Videos
from melgpt.gpt.order import fill_up
from melgpt.training.settings import SequenceTraining

IGNORED = -100
"""Target of a position that does not count."""


class Sequences(Dataset[tuple[Any, ...]]):
    """One epoch of training sequences, with an end token where the sound ends."""

    def __init__(
        self,
        codes: CodeStore,
        config: SequenceTraining,
        *,
        rows: int,
        end: int | None,
        epoch: int,
        length: int,
        videos: Videos | None = None,
    ) -> None:
        self.codes, self.config, self.rows, self.end = codes, config, rows, end
        self.epoch, self.length, self.videos = epoch, length, videos
        labels = np.asarray(codes.index["label"])
        self.order = np.argsort(labels, kind="stable")
        self.classes, self.first, self.size = np.unique(
            labels[self.order], return_index=True, return_counts=True
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rng = np.random.default_rng([self.config.seed, self.epoch, index])
        group = int(rng.integers(len(self.classes)))
        number = int(self.order[self.first[group] + rng.integers(self.size[group])])
        tokens, label = self.codes.sequence(number, self.end)
        columns, turn = len(tokens) // self.rows, 0
        if not self.codes.index[number]["ends"] and rng.random() < self.config.roll:
            turn = int(rng.integers(columns))
            tokens = tokens.roll(self.rows * turn)
        if self.videos is None:
            return tokens, label
        frames = self.videos(int(self.codes.index[number]["row"]))
        # The video turns with its sound, so that what is seen stays beside what is heard.
        return tokens, label, frames.roll(round(turn * len(frames) / max(columns, 1)), dims=0)


class AllSequences(Dataset[tuple[Any, ...]]):
    """Every sequence once, in order: for validation."""

    def __init__(self, codes: CodeStore, end: int | None, videos: Videos | None = None) -> None:
        self.codes, self.end, self.videos = codes, end, videos

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        item = self.codes.sequence(index, self.end)
        return item if self.videos is None else (*item, self.videos(int(self.codes.index[index]["row"])))


def collate(batch: list[tuple[Any, ...]]) -> tuple[Tensor, ...]:
    """Targets [B, S] padded with IGNORED to the longest, labels [B] and, if any, frames [B, T, D]."""
    tokens, labels, *frames = zip(*batch, strict=True)
    targets = torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True, padding_value=IGNORED)
    return targets, torch.tensor(labels), *map(torch.stack, frames)


def collate_whole(batch: list[tuple[Any, ...]], *, silence: Tensor, length: int) -> Tensor:
    """Tokens [B, length]: shorter sounds are followed by columns of silence, whose codes are silence [H]."""
    return torch.stack([fill_up(tokens, silence, length) for tokens, *_ in batch])


def longest(length: int, videos: Videos | None, clips: int) -> tuple[Tensor, ...]:
    """A batch of so many clips as large as one can be: code 0 and class 0 everywhere, `length` tokens."""
    label = torch.zeros(clips, dtype=torch.int64)
    targets = label[:, None].expand(clips, length).contiguous()
    return (targets, label) if videos is None else (targets, label, torch.stack([videos(0)] * clips))
