"""Codes as the originals keep them: `codes_10s/<name>_mel_code.npy` beside the folder of the mels.

A file is one grid [5, 53] int64 in row-major order (frequency, time), of the middle 848 frames of a mel.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from melgpt.codec.codec import Codec
from melgpt.data.mel_file import SUFFIX as MEL_SUFFIX
from melgpt.data.mel_file import read_mel
from melgpt.data.originals import CROP_FRAMES, as_batch, centre_crop
from melgpt.data.store import Store, read_manifest
from melgpt.errors import UserError
from melgpt.paths import atomic

FOLDER, SUFFIX = "codes_10s", "_mel_code.npy"
GRID = (5, 53)

Grid = NDArray[np.int64]


def code_path(mel: Path) -> Path:
    """Where the codes of a mel file lie. Raises UserError for a file that is no `…_mel.npy`."""
    if not mel.name.endswith(MEL_SUFFIX):
        raise UserError(
            f"{mel} is no finished mel: codes in the originals' layout lie beside files `…{MEL_SUFFIX}`"
        )
    return mel.parent.parent / FOLDER / f"{mel.name.removesuffix(MEL_SUFFIX)}{SUFFIX}"


def check_grid(codec: Codec) -> None:
    """Raises UserError for a codec whose grids are not those of the originals."""
    grid = (codec.config.rows, codec.config.columns(CROP_FRAMES))
    if grid != GRID:
        raise UserError(
            f"this codec writes grids of {grid[0]} x {grid[1]} for {CROP_FRAMES} frames, the originals' code "
            f"files hold {GRID[0]} x {GRID[1]}: a codec with their token size is needed (recipe seed_vas)"
        )


@torch.inference_mode()
def encode_file(codec: Codec, mel: Path) -> Path:
    """Encode the middle of a mel file and write its codes beside it; their path.

    Raises UserError for a file that is no mel of at least 848 frames. The codec fits, see `check_grid`.
    """
    target = code_path(mel)
    try:
        middle = centre_crop(read_mel(mel, codec.scale.n_mels))
    except UserError as error:
        raise UserError(f"{mel}: {error}") from None
    device = next(codec.parameters()).device
    write_grid(target, codec.tokenize(as_batch(middle).to(device))[0].cpu().numpy())
    return target


def write_grid(path: Path, grid: Grid) -> None:
    """Write a grid [H, W]; whole or not at all."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, np.ascontiguousarray(grid, np.int64))


def read_grid(path: Path, codebook: int) -> Grid:
    """A grid [H, W] of codes below `codebook`. Raises UserError for a missing, damaged or other file."""
    try:
        grid = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: make it with melgpt encode MODEL DATA --originals") from None
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} is not a whole .npy file ({error})") from None
    if not isinstance(grid, np.ndarray) or grid.dtype.kind not in "iu" or grid.ndim != 2 or grid.size == 0:
        raise UserError(f"{path} holds no grid [rows, columns] of whole numbers")
    if grid.min() < 0 or grid.max() >= codebook:
        raise UserError(
            f"{path} holds codes from {grid.min()} to {grid.max()}, a codebook of {codebook} has 0 to "
            f"{codebook - 1}: they are of another codec"
        )
    return grid.astype(np.int64)


def read_grids(data: Path, split: str, codebook: int) -> Iterator[tuple[int, Grid]]:
    """Row and grid of each clip of a split of a prepared data set, from the files beside its mels."""
    store = Store.open(data)
    root = Path(read_manifest(data)["source"])
    for row in store.rows(split):
        yield int(row), read_grid(code_path(root / store.clip(int(row)).path), codebook)
