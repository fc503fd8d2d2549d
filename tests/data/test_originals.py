"""What the originals do to a sound and a mel before training."""

import numpy as np
import pytest
import torch

import made_corpora as made
from melgpt.data.originals import GAP_SAMPLES, centre_crop, originals_length
from melgpt.errors import UserError
from melgpt.types import Audio


def test_a_short_sound_is_repeated_with_a_gap() -> None:
    samples = torch.arange(1, 3001).float()[None] / 32768
    filled = originals_length(Audio(samples, 1000), 10.0).samples
    assert filled.shape == (1, 10000)
    period = 3000 + GAP_SAMPLES
    assert torch.equal(filled[:, :3000], samples)
    assert not filled[:, 3000:period].any()
    assert torch.equal(filled[:, period : 2 * period], filled[:, :period])


def test_a_long_sound_is_cut_and_every_value_is_a_16_bit_step() -> None:
    samples = torch.rand(1, 2000) * 2.2 - 1.1
    filled = originals_length(Audio(samples, 1000), 1.0).samples
    assert filled.shape == (1, 1000)
    steps = filled * 32768
    assert torch.equal(steps, steps.round())
    assert (filled - samples[:, :1000].clamp(-1, 32767 / 32768)).abs().max() <= 0.5 / 32768


def test_the_crop_is_the_middle_848_of_860_frames() -> None:
    mel = made.mel(0)
    assert np.array_equal(centre_crop(mel), mel[:, 6:854])
    with pytest.raises(UserError, match="at least 848"):
        centre_crop(mel[:, :840])
