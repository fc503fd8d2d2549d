"""A corpus as codes on disk: each training clip several times, shifted in time and changed in gain.

tokens.i4   all sequences one after the other, time-major, int32, memory-mapped
index.npy   one record a sequence, see INDEX
stamp       what it was made from; written last, so that a killed run leaves no half store behind
"""

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from melgpt.audio.mel import frame_count
from melgpt.codec.codec import Codec
from melgpt.config import Config
from melgpt.data.store import Store, read_manifest
from melgpt.gpt.order import flatten
from melgpt.progress import progress

INDEX = np.dtype(
    [
        ("offset", "<i8"),
        ("tokens", "<i4"),
        ("row", "<i4"),
        ("variant", "<i4"),
        ("label", "<i4"),
        ("ends", "?"),
    ]
)


MOVED_PART = 32
"""A whole sound, not a piece of a longer one, is moved by at most this part of its length."""


class Augmentation(Config):
    """Versions of the training clips for the prior, encoded once: cheap, and it widens a small set."""

    variants: int = Field(8, ge=1)
    """Encodings of each training clip: the clip itself, and others shifted in time and changed in gain. Whole
    sounds are shifted by at most a thirty-second of their length."""
    gain_db: float = Field(6.0, ge=0, le=60)
    """Variants are made louder or softer by up to this much."""
    seed: int = Field(0, ge=0, lt=1 << 32)
    """Seed of shifts and gains."""


class CodeStore:
    """Sequences of codes of one split, opened for reading."""

    def __init__(self, folder: Path) -> None:
        self.index = np.load(folder / "index.npy", mmap_mode="r")
        self._tokens = np.memmap(folder / "tokens.i4", "<i4", "r")

    @classmethod
    def open(cls, folder: Path, stamp: str) -> Self | None:
        """The store in a folder, if it is whole and was made from what the stamp says."""
        mark = folder / "stamp"
        if not mark.is_file() or mark.read_bytes() != stamp.encode():
            return None
        try:
            found = cls(folder)
        except (OSError, ValueError):
            return None
        return found if len(found._tokens) == found.index["tokens"].sum() else None

    def __len__(self) -> int:
        return len(self.index)

    def of_classes(self, numbers: Mapping[int, int]) -> Self:
        """The sequences of some classes alone, each class under another number."""
        found = copy.copy(self)
        found.index = self.index[np.isin(self.index["label"], list(numbers))]
        found.index["label"] = [numbers[label] for label in found.index["label"].tolist()]
        return found

    def sequence(self, number: int, end: int | None) -> tuple[torch.Tensor, int]:
        """Tokens [S] int64 of a sequence and its class; `end`, if any, follows where the sound ends."""
        record = self.index[number]
        first = int(record["offset"])
        tokens = torch.from_numpy(self._tokens[first : first + int(record["tokens"])].astype(np.int64))
        if record["ends"] and end is not None:
            tokens = torch.cat([tokens, torch.tensor([end])])
        return tokens, int(record["label"])


@torch.inference_mode()
def encode_split(
    codec: Codec, store: Store, split: str, folder: Path, *, augment: Augmentation, columns: int, stamp: str
) -> CodeStore:
    """Encode the clips of a split (training clips in all variants), or open what was encoded before.

    columns: most columns of a sequence; a sound that is shorter ends, a longer one is cut. One of just as
    many goes on where the data set holds pieces of longer sounds, else it ends, too.
    """
    cut = _are_cut(codec, store, columns)
    stamp = stamp if cut else f"{stamp} whole"
    if (finished := CodeStore.open(folder, stamp)) is not None:
        return finished
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    variants = augment.variants if split == "train" else 1
    device = next(codec.parameters()).device
    frames = codec.config.network.token_size[1]
    most = columns * frames
    rows = store.rows(split)
    records, offset = [], 0
    with open(folder / "tokens.i4", "wb") as file, progress(f"codes of {split}", len(rows) * variants) as bar:
        for row in rows:
            for number in range(variants):
                # Moved by more, new one-shots would begin late or without their attack.
                move = frames if cut else min(frames, 1 + int(store.frames[row]) // MOVED_PART)
                mel = variant(store, int(row), number, move, augment)[:most]
                mel = _fill(mel, frames, most) if cut else mel
                values = torch.from_numpy(np.ascontiguousarray(mel.T))[None].to(device)
                tokens = flatten(codec.tokenize(values))[0].cpu().numpy()
                file.write(tokens.astype("<i4").tobytes())
                ends = not cut or len(tokens) < columns * codec.config.rows
                records.append((offset, len(tokens), row, number, store.label_ids[row], ends))
                offset += len(tokens)
                bar.advance()
    np.save(folder / "index.npy", np.array(records, INDEX))
    (folder / "stamp").write_text(stamp, encoding="utf-8")
    return CodeStore(folder)


def _are_cut(codec: Codec, store: Store, columns: int) -> bool:
    """Whether clips that fill so many columns are pieces of longer sounds: one-shots are not."""
    longest = codec.config.columns(int(np.max(store.frames)))
    seconds = read_manifest(store.folder)["config"]["clip_seconds"]
    whole = codec.config.columns(frame_count(round(seconds * store.scale.rate), store.scale))
    return longest > columns or longest >= whole


def _fill(mel: NDArray[np.float32], frames: int, most: int) -> NDArray[np.float32]:
    """A mel [N, F] that reaches into the last column is mirrored to its end.

    Such a sound goes on: filled up with silence, the gap would be learnt, and rolled into its middle.
    """
    missing = most - len(mel)
    if missing >= frames or missing >= len(mel):
        return mel
    return np.pad(mel, ((0, missing), (0, 0)), mode="reflect") if missing else mel


def variant(
    store: Store, row: int, number: int, most_shift: int, augment: Augmentation
) -> NDArray[np.float32]:
    """Mel [N, F] of a version of a clip; number 0 is the clip itself. It is moved by less than most_shift."""
    mel = store.mel(row).astype(np.float32)
    if number == 0:
        return mel
    rng = np.random.default_rng([augment.seed, row, number])
    shift = int(rng.integers(0, most_shift))
    # Half of the shifts put silence before the sound, so that short clips keep their onset.
    later = rng.random() < 0.5
    mel = np.pad(mel, ((shift, 0), (0, 0))) if later else mel[min(shift, len(mel) - 1) :]
    return change_gain(mel, store.scale.gain(rng.uniform(-augment.gain_db, augment.gain_db)))


def change_gain(mel: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """Mel values louder by a step (see MelScale.gain); silence stays silence."""
    return np.where(mel > 0, np.clip(mel + step, 0, 1), 0).astype(np.float32)
