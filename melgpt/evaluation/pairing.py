"""Which real recording a generated sound was made for, told by the names of their files."""

import re
from collections.abc import Callable, Sequence
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from melgpt.errors import UserError

Key = Callable[[str], str]
_NUMBERED_CLASS = re.compile(r"cls_(\d+)")
_NUMBER = re.compile(r"_sample_\d+$")
_SHOWN = 3


def recording(path: str) -> str:
    """Name of a recording: the file's stem, without the `_mel` that exporters of mels add."""
    return PurePath(path).stem.removesuffix("_mel")


def recording_in_class(classes: Sequence[str]) -> Key:
    """For corpora that number their files anew in each class (VAS): the class is part of the name.

    The class is a folder above the file, by its name or as `cls_N`, the N-th of the sorted names.
    """
    ordered = sorted(classes)

    def key(path: str) -> str:
        for folder in reversed(PurePath(path).parent.parts):
            numbered = _NUMBERED_CLASS.fullmatch(folder)
            if numbered and int(numbered[1]) < len(ordered):
                return f"{ordered[int(numbered[1])]}_{recording(path)}"
            if folder in ordered:
                return f"{folder}_{recording(path)}"
        raise UserError(f"{path} lies in the folder of none of the classes {', '.join(ordered)}")

    return key


def pair(
    generated: Sequence[str], real: Sequence[str], key: Key = recording
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of generated and of real that belong together, [len(generated)] each, in the order of generated.

    A generated file is called like its recording, with `_sample_N` behind it where there are several; a
    recording may have none. key: the name of a recording from the path of either. Raises UserError where two
    real files are of one name and where a generated one has no real one.
    """
    place: dict[str, int] = {}
    for row, path in enumerate(real):
        other = place.setdefault(key(path), row)
        if other != row:
            raise UserError(f"two real files are both the recording '{key(path)}': {real[other]} and {path}")
    keys = [key(_without_number(path)) for path in generated]
    alone = [path for path, name in zip(generated, keys, strict=True) if name not in place]
    if alone or not generated:
        shown = ", ".join(alone[:_SHOWN]) + (", …" if len(alone) > _SHOWN else "")
        raise UserError(
            f"{len(alone)} of {len(generated)} generated files have no real recording of their name"
            + (f": {shown}" if alone else "")
        )
    return np.arange(len(generated)), np.array([place[name] for name in keys])


def _without_number(path: str) -> str:
    """`a/b_sample_3.npy` → `a/b.npy`."""
    whole = PurePath(path)
    return str(whole.with_stem(_NUMBER.sub("", whole.stem) or whole.stem))
