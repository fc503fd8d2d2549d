"""Batches for codec and decoder: random crops of mels.

A crop is a function of seed, epoch and place alone, so that a resumed run sees the same ones.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from melgpt.data.code_store import change_gain
from melgpt.data.store import Store, spread
from melgpt.training.settings import CodecTraining, DecoderTraining

SHORT_BATCHES = 0.5
"""Of a set of short clips alone, so many batches are as short as they are."""


class MelCrops(Dataset[Tensor]):
    """One epoch of crops [1, F, N] in [0, 1]; long clips are drawn more often than short ones.

    N is crop_frames. Where clips are shorter, N is the whole columns of one of them in some batches: the
    codec normalises over the whole map, and cannot encode one so full of sound unless it has seen such.
    """

    def __init__(
        self,
        store: Store,
        config: CodecTraining | DecoderTraining,
        epoch: int,
        length: int,
        *,
        token_frames: int,
    ) -> None:
        self.store, self.config, self.epoch, self.length = store, config, epoch, length
        self.rows = store.rows("train")
        least = -(-config.least_frames // token_frames) * token_frames
        self.whole = np.maximum(-(-store.frames[self.rows] // token_frames) * token_frames, least)
        """Frames of each clip in whole columns."""
        self.short = np.flatnonzero(self.whole < config.crop_frames)
        self.share = np.cumsum(np.maximum(store.frames[self.rows], config.crop_frames), dtype=np.float64)
        self.share /= self.share[-1]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        rng = np.random.default_rng([self.config.seed, self.epoch, index])
        if (frames := self._short_frames(index // self.config.batch)) is not None:
            return self._short(frames, rng)
        row = self.rows[np.searchsorted(self.share, rng.random(), side="right")]
        mel = self.store.mel(int(row))
        # The crop may begin before the clip or run past its end, so that edges are seen at every place.
        margin = self.config.crop_frames // 4
        first = int(rng.integers(-margin, max(1, len(mel) - self.config.crop_frames + margin)))
        crop = np.zeros((self.config.crop_frames, mel.shape[1]), np.float32)
        here = mel[max(first, 0) : max(first + self.config.crop_frames, 0)]
        crop[max(-first, 0) : max(-first, 0) + len(here)] = here
        return self._changed(crop, rng)

    def _short_frames(self, batch: int) -> int | None:
        """Frames of the crops of a batch; None for those of full length."""
        rng = np.random.default_rng([self.config.seed, self.epoch, batch, 1])
        if rng.random() >= SHORT_BATCHES * len(self.short) / len(self.rows):
            return None
        return int(self.whole[rng.choice(self.short)])

    def _short(self, frames: int, rng: np.random.Generator) -> Tensor:
        """A clip that fits into so many frames, somewhere in them."""
        mel = self.store.mel(int(self.rows[rng.choice(np.flatnonzero(self.whole <= frames))]))
        crop = np.zeros((frames, mel.shape[1]), np.float32)
        first = int(rng.integers(frames - len(mel) + 1))
        crop[first : first + len(mel)] = mel
        return self._changed(crop, rng)

    def _changed(self, crop: NDArray[np.float32], rng: np.random.Generator) -> Tensor:
        gain = self.store.scale.gain(rng.uniform(-self.config.gain_db, self.config.gain_db))
        return torch.from_numpy(change_gain(crop, gain).T.copy()).unsqueeze(0)


class WholeClips(Dataset[tuple[Tensor, int]]):
    """Whole validation clips: mel [1, F, N] padded with silence to a multiple of frames, and its true N."""

    def __init__(self, store: Store, multiple: int, most: int) -> None:
        self.store, self.multiple = store, multiple
        self.rows = spread(store.rows("valid"), most)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        mel = self.store.mel(int(self.rows[index])).astype(np.float32).T
        missing = -mel.shape[1] % self.multiple
        return torch.from_numpy(np.pad(mel, ((0, 0), (0, missing)))).unsqueeze(0), mel.shape[1]
