"""A prepared data set on disk, memory-mapped: mels in shards, numbers in index.npy, texts in clips.csv.

    data.json        format version, mel scale, label order, configuration, fingerprint, counts
    index.npy        one record a clip, see INDEX: all numbers, memory-mapped
    clips.csv        one line a clip: id, path, label, start, seconds, split
    audit.csv        what is wrong with which file, see audit.py
    shards/00000.f16 mels [frames, F] little-endian float16, time first, one clip after the other

Memory does not grow with the number of clips: every array is mapped, a text is read when it is asked for.
"""

import csv
import io
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melgpt.arguments import command_line
from melgpt.data.audit import AUDIT
from melgpt.data.split import SPLITS
from melgpt.errors import UserError, closest
from melgpt.types import Clip, MelScale

FORMAT = 1
MANIFEST = "data.json"
INDEX_FILE = "index.npy"
CLIPS = "clips.csv"
SHARDS = "shards"
MEL = np.dtype("<f2")
INDEX = np.dtype(
    [
        ("offset", "<i8"),  # first frame in its shard
        ("text", "<i8"),  # first byte of its line in clips.csv
        ("frames", "<i4"),
        ("shard", "<i4"),
        ("label", "<i4"),
        ("split", "<i4"),
    ]
)
CLIP_COLUMNS = ("id", "path", "label", "start", "seconds", "split")
OPEN_SHARDS = 8


def shard_name(number: int) -> str:
    """File of a shard, relative to the data set."""
    return f"{SHARDS}/{number:05d}.f16"


def is_prepared(folder: Path) -> bool:
    """Whether a folder is a prepared data set, of whatever format: it has a manifest."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> dict[str, Any]:
    """data.json of a prepared data set. Raises UserError where there is none or its format is another."""
    if not folder.is_dir():
        raise UserError(
            f"the data set {folder} does not exist; make it with: {command_line('prepare', 'SRC', folder)}"
        )
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder} is not a prepared data set; make one with: melgpt prepare SRC OUT"
        ) from None
    if version != FORMAT:
        raise UserError(f"{folder} has data format {version}, this version reads {FORMAT}: prepare it again")
    return dict(manifest)


def is_whole(folder: Path) -> bool:
    """Whether every file of a prepared data set is there at its full length."""
    try:
        Store.open(folder).check()
    except UserError:
        return False
    return True


class Store:
    """A prepared data set, opened for reading; rows are numbered from 0."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        try:
            self.scale = MelScale.parse(manifest["scale"])
            self.labels: tuple[str, ...] = tuple(manifest["labels"])
            self.fingerprint: str = manifest["fingerprint"]
            self.index = np.load(folder / INDEX_FILE, mmap_mode="r")
        except (KeyError, TypeError, ValueError, OSError, EOFError) as error:
            raise UserError(f"{folder}: the data set is damaged ({error}): prepare it again") from None
        if self.index.dtype != INDEX:
            raise UserError(f"{folder / INDEX_FILE} is not an index of clips: prepare the data again")
        self._shards: OrderedDict[int, NDArray[np.float16]] = OrderedDict()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Raises UserError where the folder is not a whole prepared data set of this format."""
        folder = Path(folder)
        manifest = read_manifest(folder)
        missing = [name for name in (INDEX_FILE, CLIPS, SHARDS) if not (folder / name).exists()]
        if missing:
            raise UserError(f"{folder}: the data set lacks {', '.join(missing)}: prepare it again")
        return cls(folder, manifest)

    def check(self) -> None:
        """Raises UserError where a file is missing or too short for what the index says of it."""
        ends = np.zeros(int(self.index["shard"].max(initial=-1)) + 1, np.int64)
        np.maximum.at(ends, self.index["shard"], self.index["offset"] + self.index["frames"])
        frame = self.scale.n_mels * MEL.itemsize
        whole = {shard_name(number): int(end) * frame for number, end in enumerate(ends)}
        whole[CLIPS] = int(self.index["text"].max(initial=0)) + 1
        for name, size in whole.items():
            if not (self.folder / name).is_file() or (self.folder / name).stat().st_size < size:
                raise UserError(f"{self.folder / name} is missing or damaged: prepare the data again")
        for name in (CLIPS, AUDIT):
            if not _ends_with_a_line(self.folder / name):
                raise UserError(f"{self.folder / name} is missing or damaged: prepare the data again")

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the files anew instead of receiving copies of the maps."""
        return Store.open, (self.folder,)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def frames(self) -> NDArray[np.int32]:
        """Mel frames N of each clip [clips]."""
        frames: NDArray[np.int32] = self.index["frames"]
        return frames

    @property
    def label_ids(self) -> NDArray[np.int32]:
        """Place of each clip's label in `labels` [clips]."""
        labels: NDArray[np.int32] = self.index["label"]
        return labels

    def rows(self, split: str) -> NDArray[np.int64]:
        """The rows of `train`, `valid` or `test`, ascending."""
        if split not in SPLITS:
            raise UserError(f"unknown split '{split}'{closest(split, SPLITS)}")
        return np.flatnonzero(self.index["split"] == SPLITS.index(split)).astype(np.int64)

    def mel(self, row: int) -> NDArray[np.float16]:
        """The mel [N, F] in [0, 1] of a clip, time first: a read-only view into its file."""
        record = self.index[row]
        first = int(record["offset"])
        return self._shard(int(record["shard"]))[first : first + int(record["frames"])]

    def values(self, row: int) -> Tensor:
        """The mel of a clip as networks take it: a copy, [F, N] float32 in [0, 1]."""
        return torch.from_numpy(self.mel(row).astype(np.float32).T.copy())

    def clip(self, row: int) -> Clip:
        """Where a clip comes from."""
        with open(self.folder / CLIPS, "rb") as file:
            file.seek(int(self.index[row]["text"]))
            with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
                identity, path, label, start, seconds, split = next(csv.reader(text))
        return Clip(identity, path, label, float(start), float(seconds), SPLITS[SPLITS.index(split)])

    def _shard(self, number: int) -> NDArray[np.float16]:
        """The frames [frames, F] of a shard; few maps stay open at a time."""
        if number in self._shards:
            self._shards.move_to_end(number)
            return self._shards[number]
        path = self.folder / shard_name(number)
        try:
            flat = np.memmap(path, MEL, "r")
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}): prepare the data again") from None
        if len(flat) % self.scale.n_mels:
            raise UserError(f"{path} is damaged, it ends inside a frame: prepare the data again")
        self._shards[number] = flat.reshape(-1, self.scale.n_mels)
        if len(self._shards) > OPEN_SHARDS:
            self._shards.popitem(last=False)
        return self._shards[number]


def spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the rows, evenly over the set and so over its classes, one after the other."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]


def _ends_with_a_line(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            file.seek(-1, io.SEEK_END)
            return file.read() == b"\n"
    except OSError:
        return False
