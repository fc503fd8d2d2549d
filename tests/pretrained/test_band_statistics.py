"""The originals' file of mel statistics."""

from pathlib import Path

import pytest
import torch

from melgpt.errors import UserError
from melgpt.pretrained.band_statistics import BandStatistics, read, write


def test_a_file_of_the_originals_is_read(tmp_path: Path) -> None:
    path = tmp_path / "means_stds.txt"
    path.write_text("0.51234712 0.08187601\n0.4 0.1\n\n", encoding="utf-8")
    statistics = read(path, bands=2)
    assert torch.equal(statistics.mean, torch.tensor([0.51234712, 0.4]))
    assert torch.equal(statistics.std, torch.tensor([0.08187601, 0.1]))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    statistics = BandStatistics(torch.rand(80), 0.1 + torch.rand(80))
    write(tmp_path / "s.txt", statistics)
    again = read(tmp_path / "s.txt")
    assert torch.allclose(again.mean, statistics.mean, atol=1e-8)
    assert torch.allclose(again.std, statistics.std, atol=1e-8)
    assert (tmp_path / "s.txt").read_text(encoding="utf-8").count("\n") == 80


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.5 0.1\n", "has 1 rows of mel statistics; one for each of 2 bands"),
        ("", "has 0 rows"),
        ("0.5 0.1\n0.5\n", "line 2: two numbers 'mean std' were expected, not '0.5'"),
        ("0.5 0.1\n0.5 b\n", "line 2: two numbers"),
        ("0.5 0.1 7\n0.5 0.1\n", "line 1: two numbers"),
        ("0.5 0.1\n0.5 0\n", "line 2: a finite mean and a std above 0"),
        ("0.5 0.1\nnan 0.1\n", "line 2: a finite mean"),
    ],
)
def test_a_wrong_file_names_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "s.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=words) as caught:
        read(path, bands=2)
    assert str(path) in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read as mel statistics"):
        read(tmp_path / "nothing.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="cannot be read as mel statistics"):
        read(tmp_path / "binary")
