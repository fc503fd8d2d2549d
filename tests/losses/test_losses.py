"""Losses by their definitions."""

import pytest
import torch
from torch import nn

from melgpt.losses.adversarial import adaptive_weight, discriminator_loss, generator_loss
from melgpt.losses.reconstruction import mel_l1


def test_l1_is_the_mean_absolute_error() -> None:
    assert mel_l1(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, -1.0]])) == 1.25


def test_the_hinge_is_flat_beyond_its_margins() -> None:
    confident = discriminator_loss(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -3.0]))
    undecided = discriminator_loss(torch.zeros(3), torch.zeros(3))
    wrong = discriminator_loss(torch.tensor([-1.0]), torch.tensor([2.0]))
    assert (confident, undecided, wrong) == (0, 1, 2.5)


def test_the_generator_wants_high_logits() -> None:
    assert generator_loss(torch.tensor([1.0, 3.0])) == -2


@pytest.mark.parametrize(("limit", "expected"), [(100.0, 4.0), (1.0, 1.0)])
def test_the_adaptive_weight_is_the_ratio_of_gradients_up_to_its_limit(limit: float, expected: float) -> None:
    layer = nn.Parameter(torch.ones(4))
    weight = adaptive_weight(8 * layer.sum(), 2 * layer.sum(), layer, limit)
    assert weight == pytest.approx(expected, rel=1e-3)
    assert not weight.requires_grad


def test_the_adaptive_weight_leaves_the_graph_for_the_step_itself() -> None:
    layer = nn.Parameter(torch.ones(2))
    first, second = layer.square().sum(), layer.sum()
    weight = adaptive_weight(first, second, layer, 10.0)
    (first + weight * second).backward()
    assert torch.allclose(layer.grad, 2 + weight)
