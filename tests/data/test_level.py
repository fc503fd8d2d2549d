"""Levels above full scale: kept, scaled down or left out, each with a finding."""

from pathlib import Path

import numpy as np
import pytest

from made_sounds import save, sound
from melgpt.data.config import DataConfig
from melgpt.data.pieces import Pieces, cut
from melgpt.data.prepare import prepare
from melgpt.data.sounds import recordings
from melgpt.data.store import Store
from melgpt.types import MelScale


def pieces_of(folder: Path, samples: np.ndarray) -> Pieces:
    save(folder / "a.wav", samples.astype(np.float32), subtype="FLOAT")
    return cut(folder, "a.wav", DataConfig(clip_seconds=2), MelScale())


def test_a_hot_float_file_is_scaled_down_as_a_whole(tmp_path: Path) -> None:
    quiet, loud = sound(0, 2.0), sound(1, 2.0)
    pieces = pieces_of(tmp_path, np.concatenate([4 * quiet, 20 * loud]))
    assert [(f.reason, f.action, "20.0 dB" in f.detail) for f in pieces.findings] == [
        ("too loud", "kept", True)
    ]
    plain = pieces_of(tmp_path, np.concatenate([0.4 * quiet, 2 * loud]))
    assert plain.findings == []
    for piece, expected in zip(pieces.pieces, plain.pieces, strict=True):
        np.testing.assert_allclose(piece.mel, expected.mel, atol=2e-3)


@pytest.mark.parametrize("factor", [3e38, 1e29])
def test_absurd_samples_are_named(tmp_path: Path, factor: float) -> None:
    pieces = pieces_of(tmp_path, sound(0).astype(np.float64) * factor)
    assert not pieces.pieces
    assert [(f.reason, f.action) for f in pieces.findings] == [("unreadable", "left out")]
    assert f"samples of {factor / 2:.3g}" in pieces.findings[0].detail


@pytest.mark.parametrize("factor", [32768, 2**31])
def test_samples_that_are_no_levels_are_left_out_with_their_figure(tmp_path: Path, factor: float) -> None:
    pieces = pieces_of(tmp_path, sound(0).astype(np.float64) * factor)
    assert not pieces.pieces
    assert [(f.reason, f.action) for f in pieces.findings] == [("too loud", "left out")]
    assert "dB above full scale" in pieces.findings[0].detail


def test_a_burst_in_one_file_leaves_the_others(tmp_path: Path) -> None:
    for seed in range(3):
        save(tmp_path / f"in/dog/{seed}.wav", sound(seed))
    burst = sound(9)
    burst[9000:9010] = 3e38
    save(tmp_path / "in/dog/burst.wav", burst, subtype="FLOAT")
    holes = sound(8)
    holes[:7] = np.nan
    save(tmp_path / "in/dog/holes.wav", holes, subtype="FLOAT")
    prepared = prepare(tmp_path / "in", tmp_path / "out", DataConfig(), MelScale())
    assert prepared.clips == 3
    rows = {row.file: (row.reason, row.action, row.detail) for row in prepared.audit}
    assert rows["dog/burst.wav"][:2] == ("unreadable", "left out")
    assert rows["dog/holes.wav"] == ("unreadable", "left out", "7 of 22050 samples are not finite numbers")


def test_a_vocoder_hears_a_scaled_file_as_it_was_learnt(tmp_path: Path) -> None:
    for seed in range(2):
        save(tmp_path / f"in/dog/{seed}.wav", 10 * sound(seed), subtype="FLOAT")
    prepare(tmp_path / "in", tmp_path / "out", DataConfig(), MelScale())
    store = Store.open(tmp_path / "out")
    for _, samples in recordings(store, range(2)):
        assert np.abs(samples).max() == pytest.approx(1, abs=1e-3)
