"""An offset or a rumble is no sound: it changes neither what is silent nor where a sound is cut."""

from pathlib import Path

import numpy as np
import pytest

from made_sounds import save
from melgpt.data.config import DataConfig
from melgpt.data.pieces import Pieces, cut
from melgpt.data.silence import peak_db
from melgpt.types import MelScale

RATE = 22050
TIME = np.arange(round(5.2 * RATE)) / RATE
STILL = 1e-5 * np.random.default_rng(0).standard_normal(2 * RATE)
BEEP = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(1.2 * RATE)) / RATE)
SOUND = np.concatenate([STILL, BEEP, STILL])


def pieces_of(folder: Path, samples: np.ndarray, subtype: str = "FLOAT") -> Pieces:
    save(folder / "a.wav", samples.astype(np.float32), RATE, subtype)
    return cut(folder, "a.wav", DataConfig(), MelScale())


UNHEARD = {
    "offset": np.full(len(TIME), 0.003),
    "large offset": np.full(len(TIME), -0.2),
    "drift": np.linspace(-0.05, 0.05, len(TIME)),
    **{f"rumble of {hz} Hz": 0.05 * np.sin(2 * np.pi * hz * TIME + 1) for hz in (1, 5, 11, 15, 19)},
}


@pytest.mark.parametrize("unheard", UNHEARD.values(), ids=UNHEARD)
def test_what_is_not_heard_moves_no_cut(tmp_path: Path, unheard: np.ndarray) -> None:
    (clean,) = pieces_of(tmp_path, SOUND).pieces
    (piece,) = pieces_of(tmp_path, SOUND + unheard).pieces
    assert (clean.start, clean.seconds) == (pytest.approx(1.9, abs=1e-3), pytest.approx(1.4, abs=1e-3))
    assert piece.start == pytest.approx(clean.start, abs=0.01)
    assert piece.seconds == pytest.approx(clean.seconds, abs=0.02)


@pytest.mark.parametrize("unheard", UNHEARD.values(), ids=UNHEARD)
def test_stillness_stays_silent_whatever_lies_below_hearing(tmp_path: Path, unheard: np.ndarray) -> None:
    pieces = pieces_of(tmp_path, np.resize(STILL, len(TIME)) + unheard)
    assert not pieces.pieces
    assert [finding.reason for finding in pieces.findings] == ["silent"]


def test_an_offset_over_many_blocks_moves_no_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = pieces_of(tmp_path, SOUND + 0.01).pieces
    monkeypatch.setattr("melgpt.audio.decoding.libsndfile.BLOCK", RATE // 3)
    (blocks,) = pieces_of(tmp_path, SOUND + 0.01).pieces
    assert blocks.start == pytest.approx(whole.start, abs=0.01)
    assert blocks.seconds == pytest.approx(whole.seconds, abs=0.02)


@pytest.mark.parametrize("offset", [0, 0.05])
def test_a_low_kick_is_sound(tmp_path: Path, offset: float) -> None:
    time = np.arange(RATE) / RATE
    kick = 0.8 * np.exp(-time / 0.2) * np.sin(2 * np.pi * 45 * time)
    (piece,) = pieces_of(tmp_path, np.concatenate([kick, STILL]) + offset).pieces
    assert piece.seconds == pytest.approx(1.1, abs=0.05)


def test_a_short_click_keeps_its_level() -> None:
    click = np.zeros(441, np.float32)
    click[100:120] = 0.5
    assert peak_db(click, RATE) == pytest.approx(-6.0, abs=0.6)
    assert peak_db(np.zeros(4, np.float32), RATE) == -np.inf
    assert peak_db(np.zeros(0, np.float32), RATE) == -np.inf


def test_a_sound_outside_of_the_band_is_named_as_silent(tmp_path: Path) -> None:
    high = 0.0015 * np.sin(2 * np.pi * 10_000 * TIME) * np.hanning(len(TIME))
    pieces = pieces_of(tmp_path, high)
    assert not pieces.pieces
    assert [(f.reason, "band" in f.detail) for f in pieces.findings] == [("silent", True)]


def test_channels_that_cancel_are_named_and_one_is_learnt(tmp_path: Path) -> None:
    pieces = pieces_of(tmp_path, np.stack([BEEP, -BEEP], 1))
    assert len(pieces.pieces) == 1
    assert [(f.reason, f.action) for f in pieces.findings] == [("channels cancel", "kept")]
