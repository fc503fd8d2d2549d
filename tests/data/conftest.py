"""Small folders of sounds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from made_sounds import save, sound


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """12 files of 1 s in two classes."""
    for number in range(12):
        save(tmp_path / "sounds" / ("dog", "rain")[number % 2] / f"video_{number:02d}.wav", sound(number))
    return tmp_path / "sounds"


@pytest.fixture
def content() -> Callable[[Path], dict[str, bytes]]:
    """All files of a folder by their relative path."""

    def read(folder: Path) -> dict[str, bytes]:
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    return read
