"""The spectral losses: their mel is the mel of `audio.mel`, and their gradients are finite everywhere."""

import torch

from melgpt.audio.mel import analyse
from melgpt.losses.spectra import MelLoss, bins_of, spectral_distance
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
    (spectral_distance(made, real, 22050).mean() + MelLoss(MelScale())(made, real)).sum().backward()
    assert made.grad is not None
    assert made.grad.isfinite().all()


def test_bins_of_a_band_are_those_within_it() -> None:
    bins = bins_of((125, 7600), 1024, 22050)
    width = 22050 / 1024
    assert (bins.start - 1) * width < 125 <= bins.start * width
    assert (bins.stop - 1) * width <= 7600 < bins.stop * width
