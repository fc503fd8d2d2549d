"""The parts that synthetic sounds are made of do what their names say."""

import numpy as np
import pytest

from melgpt.data import synthesis as s


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def strongest(wave: s.Wave) -> float:
    """Frequency in Hz of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(spectrum.argmax() * s.RATE / len(wave))


def share_between(wave: s.Wave, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(wave)) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / s.RATE)
    return float(power[(hz >= low) & (hz <= high)].sum() / power.sum())


def test_a_tone_has_its_pitch() -> None:
    assert strongest(s.tone(np.full(s.RATE, 440.0))) == pytest.approx(440, abs=2)


def test_a_voice_keeps_below_half_the_rate(rng: np.random.Generator) -> None:
    voice = s.glottis(rng, np.full(s.RATE, 900.0))
    assert strongest(voice) == pytest.approx(900, abs=3)
    assert share_between(voice, s.HIGHEST + 50, s.RATE / 2) < 1e-4


def test_formants_peak_at_their_frequency_with_their_gain() -> None:
    wave = s.tone(np.full(s.RATE, 1200.0))
    passed = s.formants(wave, [(1200, 80, 0.5)])[s.RATE // 2 :]
    assert np.abs(passed).max() == pytest.approx(0.5, rel=0.05)
    assert np.abs(s.formants(wave, [(3000, 80, 0.5)])[s.RATE // 2 :]).max() < 0.05


def test_noise_stays_in_its_band_and_is_as_loud_at_its_start(rng: np.random.Generator) -> None:
    wave = s.noise(rng, s.RATE, 1000, 3000)
    assert share_between(wave, 700, 4200) > 0.9
    assert wave.std() == pytest.approx(1)
    assert wave[:1000].std() == pytest.approx(1, rel=0.2)


def test_modes_decay_as_told(rng: np.random.Generator) -> None:
    wave = s.modes(rng, s.RATE, [500.0], decays=[0.1], gains=[1.0])
    early, late = np.abs(wave[:500]).max(), np.abs(wave[2205:2705]).max()
    assert late / early == pytest.approx(np.exp(-1), rel=0.05)


def test_a_room_adds_a_falling_tail_and_keeps_the_direct_sound(rng: np.random.Generator) -> None:
    click = np.zeros(100)
    click[0] = 1.0
    wave = s.room(rng, click, seconds=0.5, wet=0.3)
    assert wave[0] == pytest.approx(1)
    assert wave[200:2000].std() > 5 * wave[-2000:].std() > 0


def test_mixed_sounds_begin_where_they_should() -> None:
    wave = s.mix([(0.0, np.ones(10)), (0.1, np.full(10, 2.0))])
    assert len(wave) == s.samples(0.1) + 10
    assert wave[0] == 1
    assert wave[s.samples(0.1)] == 2
    assert wave[20:2000].sum() == 0
