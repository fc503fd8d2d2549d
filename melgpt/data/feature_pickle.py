"""Reading the originals' feature files (numpy arrays in a pickle) without running what a pickle can run.

A pickle names functions to be called. Here the few names that an array needs stand for functions of our own
that build it from bytes and a checked number type; numpy's own would trust the file with its memory. Every
other name is refused. https://docs.python.org/3/library/pickle.html#restricting-globals
"""

import io
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melgpt.errors import UserError

_NUMBERS = re.compile(r"[fiu][1248]|b1")
_ARRAY = "the type ndarray"


def read_features(path: Path) -> NDArray[np.float32]:
    """Features [T, D] of a .pkl or .npy file, finite.

    A list or tuple of vectors, or a dict with one entry, is taken for the array that it holds. Raises
    UserError for a file that is missing or damaged, names anything but arrays, or holds something else.
    """
    if not path.is_file():
        raise UserError(f"no such feature file: {path}")
    try:
        if path.suffix.lower() == ".npy":
            found: Any = np.load(path, allow_pickle=False)
        else:
            found = _plain(_Reader(path).load())
        if isinstance(found, dict) and len(found) == 1:
            (found,) = found.values()
        features = np.asarray(found, np.float32)
    except UserError:
        raise
    except Exception as error:  # a damaged pickle makes its reader raise anything
        raise UserError(f"{path} holds no array of features, or is damaged: {error}") from None
    if features.ndim != 2 or 0 in features.shape:
        raise UserError(f"{path} holds an array {features.shape}, features are [frames, depth]")
    if not np.isfinite(features).all():
        raise UserError(f"{path} holds features that are no finite numbers")
    return features


DEEPEST = 3
"""A dict of lists of lists of numbers."""


class _Reader(pickle.Unpickler):
    """Knows lists, tuples, dicts, numbers and texts by itself, and arrays by the names below."""

    def __init__(self, path: Path) -> None:
        # The originals' files were read, and partly written, by Python 2: their texts may be bytes.
        super().__init__(io.BytesIO(path.read_bytes()), encoding="bytes")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        place = (
            module.replace("numpy._core", "numpy.core").removesuffix(".multiarray").removesuffix(".numeric")
        )
        known: dict[tuple[str, str], Callable[..., Any] | str] = {
            ("numpy", "ndarray"): _ARRAY,
            # Functions made for this one name: what a file does to them ends with it.
            ("numpy", "dtype"): lambda kind, *_: _Type(kind),
            ("numpy.core", "_reconstruct"): lambda *_: _Array(),
            ("numpy.core", "scalar"): lambda kind, raw: kind.array(raw, ())[()],
            ("numpy.core", "_frombuffer"): lambda raw, kind, shape, order, *_: kind.array(raw, shape, order),
            ("_codecs", "encode"): _to_bytes,
        }
        if (place, name) not in known:
            raise UserError(
                f"{self.path} is not a plain file of features: it asks for {module}.{name}, which could run "
                "anything; take features from a source that you trust"
            )
        return known[place, name]


def _to_bytes(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


class _Type:
    """Stands for a dtype: a plain number and its byte order."""

    def __init__(self, kind: str | bytes) -> None:
        self.kind = kind.decode("ascii") if isinstance(kind, bytes) else kind
        if not _NUMBERS.fullmatch(self.kind):
            raise ValueError(f"an array of {self.kind!r}, not of numbers")
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.order = order if order in ("<", ">") else "="

    def array(self, raw: Any, shape: tuple[int, ...], order: str = "C") -> NDArray[Any]:
        """The array that bytes hold. Raises ValueError where they are too few or too many."""
        kind = np.dtype(self.order + self.kind)
        if len(raw) != math.prod(shape) * kind.itemsize:
            raise ValueError(f"{len(raw)} bytes are no array {shape} of {self.kind}")
        return np.frombuffer(raw, kind).reshape(shape, order="F" if order == "F" else "C")


class _Array:
    """Stands for an array until its bytes are read."""

    value: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, raw = state
        self.value = kind.array(raw, shape, "F" if by_columns else "C")


def _plain(found: Any, depth: int = 0) -> Any:
    """With each stand-in replaced by its array. Raises ValueError for lists in lists in lists.

    A small file can name one list many times over in others, which would grow beyond all memory.
    """
    if depth > DEEPEST:
        raise ValueError("lists nested too deep")
    if isinstance(found, _Array):
        if found.value is None:
            raise ValueError("an array without its numbers")
        return found.value
    if isinstance(found, list | tuple):
        return [_plain(item, depth + 1) for item in found]
    if isinstance(found, dict):
        return {str(key): _plain(item, depth + 1) for key, item in found.items()}
    return found
