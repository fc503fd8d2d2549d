"""Codes of one sound in a file: an .npz of plain arrays, no pickle. Format: docs/formats.md."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melgpt.data.passed_over import PassedOver
from melgpt.data.walk import is_hidden
from melgpt.errors import UserError
from melgpt.paths import atomic
from melgpt.progress import say
from melgpt.types import Codes

FORMAT = 1


def write_codes(path: Path, codes: Codes) -> None:
    """Arrays: format, grid [B, H, W], codebook, codec (fingerprint), frames (-1 where not known)."""
    frames = -1 if codes.frames is None else codes.frames
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            format=np.int64(FORMAT),
            grid=codes.grid.cpu().numpy().astype(np.int64),
            codebook=np.int64(codes.codebook),
            codec=np.str_(codes.codec),
            frames=np.int64(frames),
        )


def codes_below(folder: Path) -> list[Path]:
    """Every .npz below a folder but hidden ones, with the suffix in any case; says what else there is."""
    found, passed = [], PassedOver()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix.lower() == ".npz" and not is_hidden(path.name):
            found.append(path)
        elif not is_hidden(path.name):
            passed.add_file(path.parent.relative_to(folder).as_posix(), path.name)
    for line in passed.lines():
        say(line)
    return found


def read_codes(path: Path) -> Codes:
    """Raises UserError for a file that is missing, damaged or of another kind."""
    if not path.is_file():
        raise UserError(f"no such codes file: {path}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if int(arrays["format"]) != FORMAT:
                raise UserError(f"{path} has format {int(arrays['format'])}, this version reads {FORMAT}")
            frames = int(arrays["frames"])
            grid = torch.from_numpy(arrays["grid"].astype(np.int64))
            codes = Codes(grid, int(arrays["codebook"]), str(arrays["codec"]), None if frames < 0 else frames)
    except (OSError, EOFError, ValueError, TypeError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is not a codes file written by `melgpt encode`: {error}") from None
    if grid.ndim != 3 or grid.numel() == 0 or grid.min() < 0 or grid.max() >= codes.codebook:
        raise UserError(f"{path} holds no grid [B, H, W] of codes below {codes.codebook}")
    return codes


def as_codes(given: Any) -> Codes:
    """Codes [B, H, W] that a caller gives, or the path of their file. Raises UserError for anything else."""
    if isinstance(given, str | Path):
        return read_codes(Path(given))
    if not isinstance(given, Codes):
        raise UserError(
            f"codes are what `encode` gives, or the path of its file, not a {type(given).__name__}"
        )
    grid, frames = given.grid, given.frames
    whole = isinstance(grid, Tensor) and not (grid.is_floating_point() or grid.is_complex())
    if not whole or grid.ndim != 3 or grid.dtype == torch.bool:
        shape = list(grid.shape) if isinstance(grid, Tensor) else type(grid).__name__
        raise UserError(
            f"codes are a tensor [1, H, W] of whole numbers, not {shape} {getattr(grid, 'dtype', '')}"
        )
    if frames is not None and type(frames) is not int:
        raise UserError(f"the frames of codes are a whole number or None, not {frames!r}")
    return given
