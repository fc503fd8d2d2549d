"""What the distances of two sounds hear, and what they do not."""

import math

import pytest
import torch
from torch import Tensor

from melgpt.errors import UserError
from melgpt.evaluation.sound_distances import envelope_correlation, multi_resolution_stft, onset_sharpness
from melgpt.types import MelScale

SCALE = MelScale()
BAND = (SCALE.f_min, SCALE.f_max)


def sine(hertz: float, seconds: float = 1.0) -> Tensor:
    time = torch.arange(round(seconds * SCALE.rate)) / SCALE.rate
    return 0.3 * torch.sin(2 * math.pi * hertz * time)[None]


def noise(seed: int) -> Tensor:
    return 0.1 * torch.randn(1, SCALE.rate, generator=torch.Generator().manual_seed(seed))


def test_a_sound_is_at_no_distance_from_itself() -> None:
    assert float(multi_resolution_stft(noise(0), noise(0), SCALE)) == 0
    assert float(envelope_correlation(noise(0), noise(0), SCALE)) == pytest.approx(1)


def test_twice_as_loud_is_one_plus_the_logarithm_of_two_away() -> None:
    assert float(multi_resolution_stft(2 * noise(0), noise(0), SCALE)) == pytest.approx(
        1 + math.log(2), abs=1e-3
    )


def test_what_lies_outside_of_the_band_does_not_count() -> None:
    real, made = noise(0), noise(0) + sine(9500)
    assert float(multi_resolution_stft(made, real, SCALE, BAND)) < 0.05
    assert float(multi_resolution_stft(made, real, SCALE)) > 0.3
    assert float(multi_resolution_stft(noise(0) + sine(3000), real, SCALE, BAND)) > 0.3


def test_a_batch_gives_what_its_sounds_give_alone() -> None:
    made, real = torch.cat([noise(0), noise(1)]), torch.cat([noise(2), sine(440)])
    for measure in (multi_resolution_stft, envelope_correlation):
        together = measure(made, real, SCALE)
        alone = [measure(made[i : i + 1], real[i : i + 1], SCALE) for i in range(2)]
        torch.testing.assert_close(together, torch.cat(alone))


def test_envelopes_correlate_when_levels_go_together_and_not_otherwise() -> None:
    swell = torch.sin(torch.linspace(0, 20, SCALE.rate)).square()
    same = float(envelope_correlation(noise(0) * swell, noise(1) * swell, SCALE))
    turned = float(envelope_correlation(noise(0) * swell, noise(1) * (1 - swell), SCALE))
    assert same > 0.9
    assert turned < -0.5
    assert float(envelope_correlation(torch.zeros(1, SCALE.rate), noise(1), SCALE)) == 0


def test_envelopes_of_a_band_are_those_of_what_lies_in_it() -> None:
    time = torch.arange(SCALE.rate) / SCALE.rate
    swell = 0.5 + 0.5 * (2 * torch.pi * 3 * time).sin()
    low, high = ((2 * torch.pi * hertz * time).sin() * 0.3 for hertz in (1000, 9000))
    one, other = (low * swell + high * (1 - swell))[None], (low * swell + high)[None]
    assert float(envelope_correlation(one, other, SCALE, (125, 7600))) > 0.99
    assert float(envelope_correlation(one, other, SCALE)) < 0.9


def test_sounds_of_less_than_a_rise_have_no_onset() -> None:
    assert onset_sharpness(noise(0)[:, :256], SCALE).tolist() == [0]


def test_a_click_is_sharper_than_a_fade_and_steady_noise_has_no_onsets() -> None:
    click, fade = torch.zeros(1, SCALE.rate), noise(0) * torch.linspace(0, 1, SCALE.rate)
    click[:, 10000:] = noise(0)[:, 10000:]
    sharp, soft, steady = (float(onset_sharpness(sound, SCALE)) for sound in (click, fade, noise(0)))
    assert sharp > 20
    assert sharp > 3 * steady
    assert soft < sharp / 2
    assert float(onset_sharpness(torch.zeros(1, SCALE.rate), SCALE)) == 0


def test_level_alone_does_not_change_the_sharpness() -> None:
    click = torch.zeros(1, SCALE.rate)
    click[:, 10000:] = noise(0)[:, 10000:]
    torch.testing.assert_close(onset_sharpness(click, SCALE), onset_sharpness(click / 50, SCALE))


def test_sounds_of_different_lengths_are_refused() -> None:
    with pytest.raises(UserError, match="of one shape"):
        multi_resolution_stft(noise(0), noise(0)[:, :-1], SCALE)
    with pytest.raises(UserError, match="of one shape"):
        envelope_correlation(noise(0), noise(0)[:, :-1], SCALE)
