"""What z carries, on sets whose answer is known."""

import math

import pytest
import torch

from melgpt.evaluation.latent import active_units, mutual_information


def test_far_apart_sounds_are_told_apart_wholly() -> None:
    mean, log_variance = torch.arange(64.0)[:, None] * 100 + torch.zeros(64, 3), torch.zeros(64, 3)
    information = mutual_information(mean, log_variance, mean + torch.randn(64, 3))
    assert information == pytest.approx(math.log(64), abs=0.5)


def test_a_z_that_ignores_the_sound_tells_nothing() -> None:
    mean, log_variance = torch.zeros(500, 2), torch.zeros(500, 2)
    assert mutual_information(mean, log_variance, torch.randn(500, 2)) == pytest.approx(0, abs=0.2)
    assert active_units(mean) == 0


def test_a_unit_is_active_where_its_mean_varies() -> None:
    spread = torch.tensor([0.0, 0.05, 0.2, 1.0])
    mean = torch.randn(1000, 4) * spread + 3
    assert active_units(mean) == 2
