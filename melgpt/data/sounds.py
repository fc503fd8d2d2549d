"""The samples that a data set's mels were taken from, read from the source files once and kept mapped.

sounds.i16   mono int16 at the mel's rate, one clip after the other, in the order of the store's rows
sounds.json  fingerprint and splits of the data set; written last
offsets.npy  first sample of each row, and the end; rows of other splits are empty
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

from melgpt.audio.io import AudioError, read
from melgpt.audio.mel import analyse
from melgpt.data.level import file_gain, louder
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
            try:
                _fill(store, folder, splits)
            except UserError as error:
                raise UserError(
                    f"a vocoder learns from sounds: {error}, or take vocoder_file=PATH of trained weights or "
                    "vocoder.kind=griffin_lim, which needs none"
                ) from None
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
    wanted = {int(row) for split in splits for row in store.rows(split)}
    offsets = np.zeros(len(store) + 1, np.int64)
    with (
        atomic(folder / SAMPLES) as temporary,
        open(temporary, "wb") as file,
        progress("sounds", len(wanted)) as bar,
    ):
        for row, samples in recordings(store, sorted(wanted)):
            file.write((samples * FULL).round().clip(-FULL, FULL).astype("<i2").tobytes())
            offsets[row + 1] = len(samples)
            bar.advance()
    with atomic(folder / OFFSETS) as temporary, open(temporary, "wb") as file:
        np.save(file, offsets.cumsum())


def recordings(store: Store, rows: Iterable[int]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Rows of a store with their samples [T] in [-1, 1], from the files that it was prepared from.

    Raises UserError where a file is gone, holds no sound or does not give the mel that is known of it.
    """
    manifest = read_manifest(store.folder)
    as_originals = manifest["config"]["originals_length"] is True
    known: tuple[Path, Audio] | None = None
    for row in rows:
        path = Path(manifest["source"]) / store.clip(row).path
        # The clips of one file lie one after the other.
        if known is None or known[0] != path:
            known = path, _read(path, store)
        yield (
            row,
            _cut(known[1], store, row, path, as_originals=as_originals),
        )


def _read(path: Path, store: Store) -> Audio:
    try:
        audio = read(path, store.scale.rate)
        return louder(audio, file_gain(path)) if float(audio.samples.abs().max()) > 1 else audio
    except (AudioError, OSError) as error:
        raise UserError(
            f"a sound that {store.folder} was prepared from cannot be read: {error}; put it back"
        ) from None


def _cut(whole: Audio, store: Store, row: int, path: Path, *, as_originals: bool) -> NDArray[np.float32]:
    clip, rate = store.clip(row), store.scale.rate
    if as_originals:
        whole = originals_length(whole, clip.seconds)
    first, length = round(clip.start * rate), round(clip.seconds * rate)
    samples = whole.samples[:, first : first + length].clamp(-1, 1)
    samples = F.pad(samples, (0, length - samples.shape[-1]))
    mel, known = analyse(Audio(samples, rate), store.scale).values[0].T.numpy(), store.mel(row)
    if len(mel) != len(known) or float(np.abs(mel - known).mean()) > TOLERANCE:
        raise UserError(f"{path} is not the sound that {store.folder} was prepared from: prepare it again")
    return samples[0].numpy()
