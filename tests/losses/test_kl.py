"""KL, free bits and annealing, on cases that can be worked out by hand."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from melgpt.losses.kl import Annealing, counted_kl, kl_per_dimension, vae_loss

KL = torch.tensor([[1.0, 5.0], [2.0, 0.5]])


def test_the_kl_is_torchs() -> None:
    mean, log_variance = torch.randn(4, 6), torch.randn(4, 6)
    ours = kl_per_dimension(mean, log_variance)
    theirs = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("free_bits", "target", "expected"),
    [
        (0, 100.0, [6.0, 2.5]),
        (1, 3.0, [6.0, 0.0]),
        (2, 3.0, [5.0, 2.0]),
        (3, 4.0, [6.0, 2.5]),
        (3, 5.0, [0.0, 0.0]),
    ],
)
def test_free_bits_count_what_lies_above_the_target(
    free_bits: int, target: float, expected: list[float]
) -> None:
    assert counted_kl(KL, free_bits, target).tolist() == expected


def test_an_unknown_mode_of_free_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="0, 1, 2 or 3, not 4"):
        counted_kl(KL, 4, 1.0)


def test_the_weight_rises_to_one_and_stays() -> None:
    annealing = Annealing.over(2, start=0.5, clips=8, batch=4)
    weights = [annealing.weight(step) for step in range(6)]
    assert weights == pytest.approx([0.625, 0.75, 0.875, 1.0, 1.0, 1.0])
    assert Annealing.over(2, start=0.5, clips=8, batch=4, beta=3).weight(9) == 3


@pytest.mark.parametrize(
    ("annealing", "never"),
    [
        (Annealing.over(0, start=0.0, clips=8, batch=4), True),
        (Annealing.over(0, start=0.2, clips=8, batch=4), False),
        (Annealing.over(1, start=0.0, clips=8, batch=4), False),
        (Annealing.over(1, start=0.0, clips=8, batch=4, beta=0.0), True),
    ],
)
def test_a_kl_that_never_costs_is_known_beforehand(annealing: Annealing, never: bool) -> None:
    assert annealing.never is never
    assert all(annealing.weight(step) == 0 for step in (0, 1, 100)) is never


def test_the_loss_is_a_mean_over_the_clips() -> None:
    loss = vae_loss(torch.tensor([10.0, 20.0]), KL, weight=0.5, free_bits=1, target=3.0)
    assert float(loss.total) == pytest.approx(15 + 0.5 * 3)
    assert float(loss.counted) == pytest.approx(3)
    assert float(loss.kl) == pytest.approx(4.25)
    assert float(loss.bound) == pytest.approx(15 + 4.25)
