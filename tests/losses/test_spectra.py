"""The spectral losses: their mel is the mel of `audio.mel`, and their gradients are finite everywhere."""

import pytest
import torch

from melgpt.audio.mel import analyse
from melgpt.losses.spectra import MelLoss, bins_of, level, level_distance, spectral_distance
from melgpt.types import Audio, MelScale


def test_the_mel_of_the_loss_is_the_mel() -> None:
    samples = 0.1 * torch.randn(2, 8192)
    for scale in (MelScale(), MelScale.preset("hifigan")):
        ours = MelLoss(scale).mel(samples)
        theirs = analyse(Audio(samples, scale.rate), scale).values
        # The loss leaves out the frames that need what lies before the first sample.
        skipped = scale.n_fft // 2 // scale.hop
        torch.testing.assert_close(ours, theirs[..., skipped : skipped + ours.shape[-1]], atol=1e-5, rtol=0)


def test_silence_has_finite_gradients() -> None:
    made = torch.zeros(1, 4096, requires_grad=True)
    real = 0.1 * torch.randn(1, 4096)
    loss = spectral_distance(made, real, 22050) + MelLoss(MelScale())(made, real)
    (loss + level_distance(made, real, 22050)).sum().backward()
    assert made.grad is not None
    assert made.grad.isfinite().all()


def test_bins_of_a_band_are_those_within_it() -> None:
    bins = bins_of((125, 7600), 1024, 22050)
    width = 22050 / 1024
    assert (bins.start - 1) * width < 125 <= bins.start * width
    assert (bins.stop - 1) * width <= 7600 < bins.stop * width


def test_the_level_is_that_of_each_4_ms() -> None:
    samples = torch.zeros(1, 880)
    samples[:, 176:264] = 0.5
    assert level(samples, 22050)[0].tolist() == [
        pytest.approx(0.5 if step == 2 else 0, abs=1e-6) for step in range(10)
    ]


def test_levels_differ_where_a_sound_begins_later() -> None:
    real = 0.3 * torch.randn(1, 8800)
    real[:, :4400] = 0
    late = real.roll(880, dims=1)
    assert float(level_distance(real, real, 22050)) == 0
    assert 0.3 < float(level_distance(late, real, 22050)) < 1
    assert float(level_distance(0.5 * real, real, 22050)) == pytest.approx(0.5, abs=1e-4)
    assert float(level_distance(torch.zeros(1, 880), torch.zeros(1, 880), 22050)) == 0
