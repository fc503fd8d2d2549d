"""The samples that a data set's mels were taken from, read from the source files once and kept mapped.

sounds.i16   mono int16 at the mel's rate, one clip after the other, in the order of the store's rows
sounds.json  fingerprint and splits of the data set; written last
offsets.npy  first sample of each row, and the end; rows of other splits are empty
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

from melgpt.audio.io import AudioError, read, resample
from melgpt.audio.mel import analyse
from melgpt.data.originals import originals_length
from melgpt.data.store import Store, read_manifest
from melgpt.errors import UserError
from melgpt.paths import atomic
from melgpt.progress import progress
from melgpt.types import Audio

SAMPLES, OFFSETS, STAMP = "sounds.i16", "offsets.npy", "sounds.json"
FULL = 32767
TOLERANCE = 0.02
"""Mean difference of mels above which a file is not the one that the data set was prepared from."""


class Sounds:
    """Samples of the rows of a store, opened for reading."""

    def __init__(self, folder: Path) -> None:
        self.offsets: NDArray[np.int64] = np.load(folder / OFFSETS, mmap_mode="r")
        self._samples = np.memmap(folder / SAMPLES, np.dtype("<i2"), "r")

    @classmethod
    def open(cls, store: Store, folder: Path, splits: Sequence[str] = ("train", "valid")) -> Self:
        """Those in `folder`, which is filled where it is not of this data set.

        Raises UserError where the source files are gone, hold no sound or are other ones than before.
        """
        stamp = json.dumps([store.fingerprint, *splits])
        file = folder / STAMP
        if not file.is_file() or file.read_text(encoding="utf-8") != stamp:
            file.unlink(missing_ok=True)
            _fill(store, folder, splits)
            with atomic(file) as temporary:
                temporary.write_text(stamp, encoding="utf-8")
        return cls(folder)

    def samples(self, row: int) -> NDArray[np.float32]:
        """Samples [T] in [-1, 1] of a row of the store."""
        return self.part(row, 0, self.length(row))

    def length(self, row: int) -> int:
        """Samples T of a row."""
        return int(self.offsets[row + 1] - self.offsets[row])

    def part(self, row: int, first: int, count: int) -> NDArray[np.float32]:
        """Samples [count] of a row from `first` on, which may be negative; silence where it has none."""
        begin, length = int(self.offsets[row]), self.length(row)
        part = np.zeros(count, np.float32)
        here = self._samples[begin + min(max(first, 0), length) : begin + min(max(first + count, 0), length)]
        place = max(-first, 0)
        part[place : place + len(here)] = here.astype(np.float32) / FULL
        return part


def _fill(store: Store, folder: Path, splits: Sequence[str]) -> None:
    manifest = read_manifest(store.folder)
    root, config = Path(manifest["source"]), manifest["config"]
    wanted = {int(row) for split in splits for row in store.rows(split)}
    offsets = np.zeros(len(store) + 1, np.int64)
    with (
        atomic(folder / SAMPLES) as temporary,
        open(temporary, "wb") as file,
        progress("sounds", len(wanted)) as bar,
    ):
        for row in range(len(store)):
            if row in wanted:
                samples = _read(store, row, root, config)
                file.write((samples * FULL).round().clip(-FULL, FULL).astype("<i2").tobytes())
                offsets[row + 1] = len(samples)
                bar.advance()
    _resampled.cache_clear()
    with atomic(folder / OFFSETS) as temporary, open(temporary, "wb") as file:
        np.save(file, offsets.cumsum())


def _read(store: Store, row: int, root: Path, config: dict[str, object]) -> NDArray[np.float32]:
    """Samples [T] of a clip. Raises UserError where they do not give its mel."""
    clip, rate = store.clip(row), store.scale.rate
    try:
        whole = _resampled(root / clip.path, rate)
    except (AudioError, OSError) as error:
        raise UserError(
            f"a vocoder learns from the sounds that {store.folder} was prepared from, which cannot be "
            f"read: {error}; put them back, or take vocoder_file=PATH of trained weights or "
            "vocoder.kind=griffin_lim, which needs none"
        ) from None
    if config["originals_length"] is True:
        whole = originals_length(whole, clip.seconds)
    first, length = round(clip.start * rate), round(clip.seconds * rate)
    samples = whole.samples[:, first : first + length].clamp(-1, 1)
    samples = F.pad(samples, (0, length - samples.shape[-1]))
    mel, known = analyse(Audio(samples, rate), store.scale).values[0].T.numpy(), store.mel(row)
    if len(mel) != len(known) or float(np.abs(mel - known).mean()) > TOLERANCE:
        raise UserError(
            f"{root / clip.path} is not the sound that {store.folder} was prepared from: prepare it again"
        )
    return samples[0].numpy()


@lru_cache(maxsize=1)
def _resampled(path: Path, rate: int) -> Audio:
    """Kept for the next clip of the same file: they lie one after the other."""
    return resample(read(path), rate)
