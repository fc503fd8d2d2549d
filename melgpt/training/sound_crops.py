"""Batches for the vocoder: random crops of sounds; their mels are taken of the batch.

A crop is a function of seed, epoch and place alone, so that a resumed run sees the same ones.
"""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from melgpt.data.sounds import Sounds
from melgpt.data.store import Store, spread
from melgpt.training.settings import VocoderTraining


class SoundCrops(Dataset[Tensor]):
    """One epoch of crops [hop * crop_frames + n_fft]: on either side half a window more than is made."""

    def __init__(
        self, store: Store, sounds: Sounds, config: VocoderTraining, epoch: int, length: int
    ) -> None:
        self.sounds, self.config, self.epoch, self.length = sounds, config, epoch, length
        self.scale, self.rows = store.scale, store.rows("train")
        self.inner = config.crop_frames * self.scale.hop
        lengths = [max(sounds.length(int(row)), self.inner) for row in self.rows]
        self.share = np.cumsum(lengths, dtype=np.float64) / np.sum(lengths)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        rng = np.random.default_rng([self.config.seed, self.epoch, index])
        row = int(self.rows[np.searchsorted(self.share, rng.random(), side="right")])
        margin, half = self.inner // 4, self.scale.n_fft // 2
        first = int(rng.integers(-margin, max(1, self.sounds.length(row) - self.inner + margin)))
        samples = self.sounds.part(row, first - half, self.inner + 2 * half)
        gain = 10 ** (rng.uniform(-self.config.gain_db, self.config.gain_db) / 20)
        return torch.from_numpy((samples * gain).clip(-1, 1).astype(np.float32))


class WholeSounds(Dataset[tuple[Tensor, Tensor]]):
    """Whole validation clips: mel [F, N] and the samples [hop * N] that a vocoder should make of it."""

    def __init__(self, store: Store, sounds: Sounds, most: int) -> None:
        self.store, self.sounds = store, sounds
        self.rows = spread(store.rows("valid"), most)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = int(self.rows[index])
        mel = self.store.values(row)
        return mel, torch.from_numpy(self.sounds.part(row, 0, mel.shape[-1] * self.store.scale.hop))
