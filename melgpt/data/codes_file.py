"""Codes of one sound in a file: an .npz of plain arrays, no pickle. Format: docs/formats.md."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from melgpt.errors import UserError
from melgpt.paths import atomic
from melgpt.types import Codes

FORMAT = 1


def write_codes(path: Path, codes: Codes) -> None:
    """Arrays: format, grid [B, H, W], codebook, codec (fingerprint), frames and samples (-1: not known)."""
    frames, samples = (-1 if count is None else count for count in (codes.frames, codes.samples))
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            format=np.int64(FORMAT),
            grid=codes.grid.cpu().numpy().astype(np.int64),
            codebook=np.int64(codes.codebook),
            codec=np.str_(codes.codec),
            frames=np.int64(frames),
            samples=np.int64(samples),
        )


def read_codes(path: Path) -> Codes:
    """Raises UserError for a file that is missing, damaged or of another kind."""
    if not path.is_file():
        raise UserError(f"no such codes file: {path}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if int(arrays["format"]) != FORMAT:
                raise UserError(f"{path} has format {int(arrays['format'])}, this version reads {FORMAT}")
            # Files of earlier versions do not tell the samples.
            counts = int(arrays["frames"]), int(arrays["samples"]) if "samples" in arrays else -1
            frames, samples = (None if count < 0 else count for count in counts)
            grid = torch.from_numpy(arrays["grid"].astype(np.int64))
            codes = Codes(grid, int(arrays["codebook"]), str(arrays["codec"]), frames, samples)
    except (OSError, EOFError, ValueError, TypeError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is not a codes file written by `melgpt encode`: {error}") from None
    if grid.ndim != 3 or grid.numel() == 0 or grid.min() < 0 or grid.max() >= codes.codebook:
        raise UserError(f"{path} holds no grid [B, H, W] of codes below {codes.codebook}")
    return codes
