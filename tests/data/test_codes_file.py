"""Codes in a file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from melgpt.data.codes_file import read_codes, write_codes
from melgpt.errors import UserError
from melgpt.types import Codes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dog.npz"
    write_codes(path, Codes(torch.randint(9, (1, 3, 50)), 9, "abcdef", 700))
    return path


@pytest.mark.parametrize(("frames", "samples"), [(None, None), (14, 3500)])
def test_codes_survive_a_round_trip(tmp_path: Path, frames: int | None, samples: int | None) -> None:
    codes = Codes(torch.randint(7, (2, 3, 4)), 7, "0123456789abcdef", frames, samples)
    write_codes(tmp_path / "codes.npz", codes)
    back = read_codes(tmp_path / "codes.npz")
    assert torch.equal(back.grid, codes.grid)
    assert (back.codebook, back.codec, back.frames, back.samples) == (7, codes.codec, frames, samples)


def test_files_of_earlier_versions_do_not_tell_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "codes.npz"
    np.savez(path, format=1, grid=np.zeros((1, 3, 4), np.int64), codebook=9, codec="a", frames=14)
    assert (read_codes(path).frames, read_codes(path).samples) == (14, None)


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        read_codes(path)
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such codes file" in refused(tmp_path / "none.npz")


@pytest.mark.parametrize("length", [0, 1, 100, -30])
def test_a_truncated_file_is_refused(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:length])
    assert "is not a codes file" in refused(file)


def test_a_file_with_a_damaged_byte_is_refused(file: Path) -> None:
    content = bytearray(file.read_bytes())
    start = content.index(b"grid.npy") + 60
    content[start : start + 20] = bytes(20)
    file.write_bytes(bytes(content))
    assert "is not a codes file" in refused(file)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, x=np.zeros(3))
    assert "is not a codes file" in refused(path)
    with open(path, "wb") as opened:
        np.save(opened, np.zeros(3))
    assert "is not a codes file" in refused(path)
    path.write_text("not codes", encoding="utf-8")
    assert "is not a codes file" in refused(path)


@pytest.mark.parametrize(
    "grid", [np.full((1, 2, 2), 9), np.full((1, 2, 2), -1), np.zeros((2, 2)), np.zeros((1, 0, 2))]
)
def test_a_grid_that_no_codec_makes_is_refused(tmp_path: Path, grid: np.ndarray) -> None:
    path = tmp_path / "codes.npz"
    np.savez(path, format=1, grid=grid, codebook=9, codec="a", frames=-1)
    assert "holds no grid [B, H, W] of codes below 9" in refused(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codes.npz"
    np.savez(path, format=2, grid=np.zeros((1, 1, 1)), codebook=9, codec="a", frames=-1)
    assert "has format 2" in refused(path)
