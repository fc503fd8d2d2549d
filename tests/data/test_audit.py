"""Clipping is measured right."""

import numpy as np
import pytest

from melgpt.data.audit import clipped_share


def sine(hertz: float, level: float, rate: int = 44100) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)).astype(np.float32)


@pytest.mark.parametrize("gain", [1.2, 2.0, 8.0])
def test_cut_tops_are_found(gain: float) -> None:
    loud = sine(200, gain)
    share = clipped_share(np.clip(loud, -1, 1))
    assert share == pytest.approx(float((np.abs(loud) >= 1).mean()), abs=0.01)


@pytest.mark.parametrize("hertz", [20.0, 50.0, 1000.0])
def test_a_loud_tone_that_is_whole_is_not_clipped(hertz: float) -> None:
    sixteen_bits = (np.round(sine(hertz, 1.0) * 32767) / 32768).astype(np.float32)
    assert clipped_share(sixteen_bits) < 0.01


def test_flat_tops_below_full_scale_and_silence_are_not_clipping() -> None:
    assert clipped_share(np.clip(sine(200, 1.0), -0.5, 0.5)) == 0
    assert clipped_share(np.zeros(1000, np.float32)) == 0
    assert clipped_share(np.ones(2, np.float32)) == 0
