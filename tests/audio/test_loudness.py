"""Loudness as ITU-R BS.1770 has it: its own filters at 48 kHz, its sine, its gates, at any rate."""

import math

import numpy as np
import pytest
import torch

from melgpt.audio.loudness import _high_pass, _shelf, loudness
from melgpt.types import Audio


def _sine(hertz: float, seconds: float, rate: int, level: float = 1.0) -> torch.Tensor:
    return level * torch.sin(2 * math.pi * hertz / rate * torch.arange(round(seconds * rate)))


def test_filters_at_48_khz_are_those_of_the_standard() -> None:
    top, bottom = _shelf(48000)
    np.testing.assert_allclose(top, [1.53512485958697, -2.69169618940638, 1.19839281085285], atol=1e-8)
    np.testing.assert_allclose(bottom, [1, -1.69065929318241, 0.73248077421585], atol=1e-8)
    top, bottom = _high_pass(48000)
    np.testing.assert_allclose(top, [1, -2, 1])
    np.testing.assert_allclose(bottom, [1, -1.99004745483398, 0.99007225036621], atol=1e-8)


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_a_full_sine_of_997_hz_is_at_minus_3_lufs(rate: int) -> None:
    assert loudness(Audio(_sine(997, 2, rate)[None], rate)) == pytest.approx(-3.01, abs=0.05)


def test_half_the_level_is_6_db_less() -> None:
    loud, soft = (loudness(Audio(_sine(997, 1, 22050, level)[None], 22050)) for level in (0.5, 0.25))
    assert loud - soft == pytest.approx(6.02, abs=0.01)


def test_silence_around_a_sound_does_not_count() -> None:
    sound = _sine(500, 2, 22050, 0.3)
    around = torch.cat([torch.zeros(44100), sound, torch.zeros(66150)])
    alone, within = (loudness(Audio(samples[None], 22050)) for samples in (sound, around))
    assert within == pytest.approx(alone, abs=0.7)


def test_high_sounds_seem_louder_and_the_lowest_hardly_are() -> None:
    low, middle, high = (loudness(Audio(_sine(f, 1, 22050)[None], 22050)) for f in (15, 500, 4000))
    assert low < middle - 10
    assert high > middle + 2


def test_what_is_too_short_for_a_block_is_measured_whole_and_silence_is_minus_infinity() -> None:
    assert loudness(Audio(_sine(997, 0.1, 22050)[None], 22050)) == pytest.approx(-3, abs=0.3)
    assert loudness(Audio(torch.zeros(1, 22050), 22050)) == -math.inf
    assert loudness(Audio(torch.zeros(1, 0), 22050)) == -math.inf
