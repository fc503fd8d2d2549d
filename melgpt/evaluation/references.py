"""Which real clips stand on which side, as many of each class on both; and how clips become what is heard."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from melgpt.audio.mel import analyse
from melgpt.data.store import Store, spread
from melgpt.decoders.pieces import Noise, refine_whole
from melgpt.errors import UserError
from melgpt.evaluation.hearing import fit_frames
from melgpt.pipeline import SoundModel
from melgpt.progress import progress
from melgpt.types import Audio

BATCH = 16
BLOCK = 256
"""Real clips that are held at a time."""
MOST_HELD = 500
"""Held-out clips that the search for copies is held against."""
DECODED = "codec + decoder + vocoder"
"""Row and stage of real clips through a model that has a decoder; "codec + vocoder" is without it."""
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Sides:
    """Rows of a data set: `real` is what sets are compared with, `drawn` are as many training clips."""

    split: str
    real: Rows
    drawn: Rows
    labels: NDArray[np.int64]
    """Class of each row of both, ascending."""
    held: Rows
    """Clips outside the training split."""

    @property
    def unseen(self) -> bool:
        """Whether `real` lies outside the training split."""
        return self.split != "train"


def default_split(store: Store) -> str:
    """`test`, or `valid` where there are no test clips."""
    return "test" if len(store.rows("test")) else "valid"


def choose_sides(store: Store, split: str, most: int, seed: int) -> Sides:
    """At most so many clips of each class. For the training split its two halves are compared.

    Raises UserError for an empty split.
    """
    rows, training = store.rows(split), store.rows("train")
    held = np.concatenate([store.rows("valid"), store.rows("test")])
    for name, found in ((split, rows), ("train", training)):
        if not len(found):
            raise UserError(f"the data set {store.folder} has no {name} clips: choose another --split")
    if not len(held):
        raise UserError(
            f"the data set {store.folder} has no clips outside the training split to hold copies against"
        )
    rng = np.random.default_rng(seed)
    real, drawn = [], []
    for label in range(len(store.labels)):
        one, other = (rng.permutation(each[store.label_ids[each] == label]) for each in (rows, training))
        if split == "train":
            one, other = other[: len(other) // 2], other[len(other) // 2 :]
        count = min(len(one), len(other), most)
        real.append(np.sort(one[:count]))
        drawn.append(np.sort(other[:count]))
    labels = np.concatenate([np.full(len(each), label) for label, each in enumerate(real)])
    if len(labels) < 2:
        raise UserError(f"{len(labels)} clips of {store.folder} can be compared; at least 2 are needed")
    return Sides(split, np.concatenate(real), np.concatenate(drawn), labels, spread(held, MOST_HELD))


class Rendering:
    """A model's codec and vocoder on mels [B, F, frames] in [0, 1], batch by batch."""

    def __init__(self, model: SoundModel, store: Store, frames: int) -> None:
        self.model, self.store, self.frames, self.scale = model, store, frames, store.scale

    def stored(self, rows: Rows) -> Tensor:
        """The mels of clips as they were prepared."""
        return torch.stack([fit_frames(self.store.values(int(row)), self.frames) for row in rows])

    def blocks(self, rows: Rows) -> Iterator[Tensor]:
        """`stored`, so many clips at a time."""
        for first in range(0, len(rows), BLOCK):
            yield self.stored(rows[first : first + BLOCK])

    def sound(self, mels: Tensor, title: str, vocoder: Any = None) -> Tensor:
        """Samples [B, T] of a vocoder, the model's own where none is given."""
        voice = self.model.vocoder if vocoder is None else vocoder
        return self._batches(lambda part: voice(part.to(self.model.device)), mels, title)

    def through_codec(self, mels: Tensor, title: str, *, refined: bool = True) -> Tensor:
        """What the codec keeps of mels and, where `refined`, the model's decoder makes of that."""
        codec, done = self.model.codec, 0

        def recode(part: Tensor) -> Tensor:
            nonlocal done
            codes = codec.tokenize(part.to(self.model.device))
            seeds = range(done, done + len(part))
            done += len(part)
            if not refined:
                return fit_frames(codec.detokenize(codes), self.frames)
            noise = Noise.of_take(seeds, 0, self.scale.n_mels)
            return fit_frames(refine_whole(codec, self.model.decoder, codes, noise), self.frames)

        return self._batches(recode, mels, title)

    def hear(self, samples: Tensor) -> Tensor:
        """The mels of samples [B, T]; of N hops N frames, of which the last hears the end and silence."""
        ended = F.pad(samples.float(), (0, max(0, self.scale.n_fft // 2 - self.scale.hop)))
        return fit_frames(analyse(Audio(ended, self.scale.rate), self.scale).values, self.frames)

    def tokens(self, rows: Rows, title: str) -> list[Tensor]:
        """Grids [H, W] of clips, each of its own length."""
        grids = []
        with torch.inference_mode(), progress(title, len(rows)) as bar:
            for row in rows:
                mel = self.store.values(int(row))[None].to(self.model.device)
                grids.append(self.model.codec.tokenize(mel)[0].cpu())
                bar.advance()
        return grids

    @torch.inference_mode()
    def _batches(self, work: Callable[[Tensor], Tensor], mels: Tensor, title: str) -> Tensor:
        parts = []
        with progress(title, len(mels)) as bar:
            for part in mels.split(BATCH):
                parts.append(work(part).float().cpu())
                bar.advance(len(part))
        return torch.cat(parts)
