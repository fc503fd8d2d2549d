"""The codes of a corpus for the originals' transformers: each clip's middle 848 frames, encoded once."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from melgpt import checkpoint
from melgpt.codec.codec import Codec, CodecConfig
from melgpt.compat.corpus import SeedMels, open_corpus
from melgpt.data.original_codes import GRID, read_grids
from melgpt.data.originals import CROP_FRAMES
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.gpt.order import flatten
from melgpt.paths import atomic
from melgpt.pretrained import convert_state
from melgpt.pretrained.imported import filled
from melgpt.pretrained.reading import read_content, state_of
from melgpt.progress import progress, say
from melgpt.runtime import choose_device
from melgpt.training.data import EpochData
from melgpt.training.recipe import Recipe

BATCH = 8


def open_codec(given: str, fallback: CodecConfig) -> Codec:
    """The codec that --reconstruct_spec names: an original's file, one of train.py, or a model folder.

    fallback: sizes of a checkpoint of train.py, which names none. Raises UserError where it is no codec.
    """
    path = Path(given)
    if path.is_dir():
        path = path / "codec.safetensors"
    if path.suffix == ".safetensors":
        codec: Codec = checkpoint.load(path, "codec")
        return codec
    beside = path.with_name("codec.safetensors")
    state = state_of(read_content(path), str(path))
    if not any(key.startswith("codec.") for key in state):
        return convert_state(state, "codec", where=str(path))["codec"]
    inside = {key.removeprefix("codec."): t for key, t in state.items() if key.startswith("codec.")}
    config = checkpoint.load(beside, "codec").config if beside.is_file() else _sized(fallback, inside)
    return filled(Codec(config), inside)


def _sized(config: CodecConfig, state: dict[str, Tensor]) -> CodecConfig:
    """With the codebook of a checkpoint of train.py whose run is not finished yet."""
    book = state.get("quantizer.codebook.weight")
    if book is None or book.ndim != 2:
        return config
    return config.changed(quantizer={**config.quantizer.plain(), "codes": len(book), "dim": book.shape[1]})


@dataclass(frozen=True)
class Coded:
    """A corpus as codes, and the codec that made them, where it is known."""

    store: Store
    codes: dict[str, np.ndarray[Any, Any]]
    """Tokens [clips, S] of `train` and `valid`, time-major."""
    rows: int
    """Rows H of their grids."""
    codebook: int
    codec: Codec | None
    """Without it nothing can be heard."""

    @property
    def shape(self) -> dict[str, int]:
        """Options of a transformer that writes such codes."""
        columns = self.codes["train"].shape[1] // self.rows
        return {"codebook": self.codebook, "rows": self.rows, "columns": columns}

    def data(self, batch: int) -> EpochData:
        """Batches of tokens and classes."""
        return EpochData(
            lambda epoch: SeedCodes(self.codes["train"], self.store, "train", epoch),
            SeedCodes(self.codes["valid"], self.store, "valid"),
            batch=batch,
            valid_batch=batch,
        )

    def steps(self, batch: int) -> int:
        """Batches of an epoch."""
        return -(-len(self.codes["train"]) // batch)


def open_coded(given: str | None, dataset: str, recipe: Recipe, workers: int) -> Coded:
    """The corpus under the codec that --reconstruct_spec names; without one from its `_mel_code.npy` files.

    Raises UserError where neither is there.
    """
    codec = None if given is None else open_codec(given, recipe.codec)
    store = open_corpus(dataset, recipe, workers)
    if codec is not None:
        codes = {split: corpus_codes(codec, store, split) for split in ("train", "valid")}
        return Coded(store, codes, codec.config.rows, codec.codebook_size, codec)
    with torch.device("meta"):
        codebook = Codec(recipe.codec).codebook_size
    try:
        codes = {split: _file_codes(store, split, codebook) for split in ("train", "valid")}
    except UserError as error:
        raise UserError(
            f"give --reconstruct_spec a codec, or let code files lie beside the mels: {error}"
        ) from None
    return Coded(store, codes, GRID[0], codebook, None)


def _file_codes(store: Store, split: str, codebook: int) -> np.ndarray[Any, Any]:
    """Tokens [clips, S] int32 from the originals' code files. Raises UserError for a grid of another size."""
    codes = np.empty((len(store.rows(split)), GRID[0] * GRID[1]), np.int32)
    for place, (row, grid) in enumerate(read_grids(store.folder, split, codebook)):
        if grid.shape != GRID:
            raise UserError(f"the codes of {store.clip(row).path} are {grid.shape}, not {GRID}")
        codes[place] = flatten(torch.from_numpy(grid)[None])[0]
    return codes


@torch.inference_mode()
def corpus_codes(codec: Codec, store: Store, split: str) -> np.ndarray[Any, Any]:
    """Tokens [clips, S] int32 of a split, time-major; from the file of an earlier run where it fits."""
    mark = hashlib.sha256(f"{checkpoint.fingerprint(codec)} {store.fingerprint}".encode()).hexdigest()[:12]
    file = store.folder.with_name(f"{store.folder.name}.codes") / mark / f"{split}.npy"
    if (kept := _kept(file)) is not None:
        return kept
    device = choose_device()
    codec = codec.to(device).eval()
    mels = SeedMels(store, split)
    length = codec.config.rows * codec.config.columns(CROP_FRAMES)
    with atomic(file) as temporary, progress(f"codes of {split}", len(mels)) as bar:
        codes = np.lib.format.open_memmap(temporary, "w+", np.int32, (len(mels), length))
        for first in range(0, len(mels), BATCH):
            batch = torch.cat([mels[i] for i in range(first, min(first + BATCH, len(mels)))])
            tokens = flatten(codec.tokenize(((batch + 1) / 2).to(device)))
            codes[first : first + len(batch)] = tokens.cpu().numpy()
            bar.advance(len(batch))
        codes.flush()
        del codes
    codec.to("cpu")
    say(f"codes of {split}: {file}")
    return np.load(file, mmap_mode="r")


def _kept(file: Path) -> np.ndarray[Any, Any] | None:
    """The codes in a file, if it is there and whole."""
    try:
        return np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None


class SeedCodes(Dataset[tuple[Tensor, Tensor]]):
    """Tokens [S] int64 and class [] int64 of each clip; `epoch` shuffles them, None keeps their order."""

    def __init__(
        self,
        tokens: np.ndarray[Any, Any],
        store: Store,
        split: str,
        epoch: int | None = None,
        seed: int = 783435,
    ) -> None:
        self.tokens, self.labels = tokens, store.label_ids[store.rows(split)]
        self.order = np.arange(len(tokens))
        if epoch is not None:
            self.order = np.random.default_rng([seed, epoch]).permutation(self.order)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        place = self.order[index]
        return torch.from_numpy(self.tokens[place].astype(np.int64)), torch.tensor(int(self.labels[place]))
