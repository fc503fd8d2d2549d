"""Batches for the listeners: clips balanced over the classes, moved in time, in level, partly hidden.

Hidden stretches as SpecAugment: Park et al. 2019, https://arxiv.org/abs/1904.08779. An item is a function of
seed, epoch and place alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from melgpt.data.code_store import change_gain
from melgpt.data.store import Store, spread
from melgpt.training.settings import ClassifierTraining
from melgpt.types import MelScale


@dataclass(frozen=True)
class Examples:
    """Clips with their classes, read when they are asked for."""

    mel: Callable[[int], NDArray[np.floating]]
    """Number of a clip → its mel [N, F] in [0, 1]."""
    labels: NDArray[np.int64]
    """Class of each clip."""
    count: int
    """Classes there are; this number is that of blurred clips."""
    scale: MelScale

    @classmethod
    def of_store(cls, store: Store, split: str) -> "Examples":
        """The clips of a split."""
        rows = store.rows(split)
        return cls(
            lambda number: store.mel(int(rows[number])),
            store.label_ids[rows].astype(np.int64),
            len(store.labels),
            store.scale,
        )


class ListenerBatches(Dataset[tuple[Tensor, int]]):
    """One epoch of training items: mel [F, frames] in [0, 1] and its class."""

    def __init__(
        self, examples: Examples, config: ClassifierTraining, *, frames: int, epoch: int, length: int
    ) -> None:
        self.examples, self.config, self.frames = examples, config, frames
        self.epoch, self.length = epoch, length
        self.classes = [np.flatnonzero(examples.labels == label) for label in np.unique(examples.labels)]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        rng = np.random.default_rng([self.config.seed, self.epoch, index])
        number = int(rng.choice(self.classes[rng.integers(len(self.classes))]))
        mel = self.examples.mel(number)
        first = int(rng.integers(0, max(1, len(mel) - self.frames + 1)))
        window = np.zeros((self.frames, mel.shape[1]), np.float32)
        part = mel[first : first + self.frames]
        window[: len(part)] = part
        # Rolled, not cut: a short sound stays whole wherever it lies.
        window = np.roll(window, int(rng.integers(self.frames)), axis=0)
        gain = self.examples.scale.gain(rng.uniform(-self.config.gain_db, self.config.gain_db))
        window = change_gain(window, gain)
        for axis, share in ((0, self.config.hidden_frames), (1, self.config.hidden_bands)):
            _hide(window, axis, share, rng)
        if rng.random() < self.config.blurred:
            return _blurred(torch.from_numpy(window.T.copy()), rng), self.examples.count
        return torch.from_numpy(window.T.copy()), int(self.examples.labels[number])


class WholeExamples(Dataset[tuple[Tensor, int]]):
    """Every clip once, as it is heard when it is judged: [F, frames] and its class."""

    def __init__(self, examples: Examples, frames: int) -> None:
        self.examples, self.frames = examples, frames

    def __len__(self) -> int:
        return len(self.examples.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        mel = self.examples.mel(index)[: self.frames].astype(np.float32)
        window = np.pad(mel, ((0, self.frames - len(mel)), (0, 0)))
        return torch.from_numpy(window.T.copy()), int(self.examples.labels[index])


def _blurred(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """A mel [F, N] blurred over 5 to 9 bands and 5 to 11 frames, as a codec's smooth mean is.

    With less, listeners took smooth real sounds, such as sea waves, for blurred ones.
    """
    bands, frames = int(2 * rng.integers(2, 5) + 1), int(2 * rng.integers(2, 6) + 1)
    padding = (bands // 2, frames // 2)
    blurred: Tensor = F.avg_pool2d(mel[None], (bands, frames), 1, padding, count_include_pad=False)[0]
    return blurred


def _hide(window: NDArray[np.float32], axis: int, share: float, rng: np.random.Generator) -> None:
    size = window.shape[axis]
    length = int(rng.integers(0, int(share * size) + 1))
    first = int(rng.integers(0, size - length + 1))
    place = [slice(None), slice(None)]
    place[axis] = slice(first, first + length)
    window[tuple(place)] = 0


def band_statistics(examples: Examples, most: int = 2000) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each band [F] over the frames of at most so many clips."""
    numbers = spread(np.arange(len(examples.labels)), most)
    total = square = np.zeros(examples.scale.n_mels)
    frames = 0
    for number in numbers:
        mel = examples.mel(int(number)).astype(np.float64)
        total, square, frames = total + mel.sum(0), square + (mel**2).sum(0), frames + len(mel)
    mean = total / frames
    deviation = np.sqrt(np.maximum(square / frames - mean**2, 1e-4))
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()
