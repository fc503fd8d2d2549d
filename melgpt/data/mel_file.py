"""Finished mels as the originals keep them, `<name>_mel.npy`: read, checked, cut into clips."""

import hashlib
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melgpt.audio.mel import frame_count
from melgpt.data import audit
from melgpt.data.audit import AuditRow
from melgpt.data.config import DataConfig
from melgpt.data.cutting import too_short
from melgpt.data.duplicates import signature
from melgpt.data.pieces import Piece, Pieces
from melgpt.errors import UserError
from melgpt.types import MelScale

SUFFIX = "_mel.npy"
BEYOND = 1e-3
"""How far a value may lie outside [0, 1] by rounding."""


_one_header_at_a_time = threading.Lock()
"""numpy reads a header with Python's parser: threads disturb each other there before 3.12 (SystemError)."""


def read_mel(path: Path, bands: int) -> NDArray[np.float32]:
    """A mel [F, N] in [0, 1], from float32 or float64. Raises UserError, without the path, for others."""
    try:
        with _one_header_at_a_time:
            values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError("the file was deleted while it was being read") from None
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"not a whole .npy file ({error})") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        raise UserError(f"holds {getattr(values, 'dtype', 'several arrays')}, a mel is float32 or float64")
    if values.ndim != 2 or values.shape[0] != bands or values.shape[1] == 0:
        raise UserError(f"holds an array {list(values.shape)}, a mel is [{bands} bands, frames]")
    low, high = float(values.min()), float(values.max())
    if not (low >= -BEYOND and high <= 1 + BEYOND):  # so written, NaN is refused as well
        raise UserError(f"holds values from {low:g} to {high:g}, a mel lies in [0, 1]")
    return values.astype(np.float32).clip(0, 1)


def cut_mel(folder: Path, path: str, config: DataConfig, scale: MelScale) -> Pieces:
    """The clips of one mel file, each as long as `clip_seconds` of sound; silence at its ends stays."""
    try:
        mel = read_mel(folder / path, scale.n_mels)
    except UserError as error:
        return _left_out(path, audit.UNREADABLE, str(error))
    seconds = mel.shape[1] / scale.frames_per_second
    if seconds < config.min_seconds:
        return _left_out(path, audit.TOO_SHORT, too_short(seconds, config.min_seconds))
    if not mel.any():
        return _left_out(path, audit.SILENT, "every value is 0")
    length = frame_count(round(config.clip_seconds * scale.rate), scale)
    pieces = Pieces()
    for first in range(0, mel.shape[1], length):
        part = np.ascontiguousarray(mel[:, first : first + length].T)
        seconds = len(part) / scale.frames_per_second
        if first and seconds < config.least_rest:
            break
        start = first / scale.frames_per_second
        if not part.any():
            pieces.findings.append(AuditRow(path, start, audit.SILENT, "left out", "every value is 0"))
            continue
        stored = part.astype(np.float16)
        digest = hashlib.sha256(part.tobytes()).digest()
        pieces.pieces.append(Piece(start, seconds, stored, digest, signature(stored, scale)))
    return pieces


def _left_out(path: str, reason: str, detail: str) -> Pieces:
    return Pieces(findings=[AuditRow(path, 0.0, reason, "left out", detail)])
