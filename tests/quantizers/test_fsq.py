"""Finite scalar quantization."""

import math

import pytest
import torch

from melgpt.errors import UserError
from melgpt.quantizers.fsq import FiniteScalarQuantizer, FSQConfig

LEVELS = [(2,), (3,), (2, 2, 2), (8, 5, 5, 5), (3, 4, 7), (16, 15), (256, 3)]


def made(levels: tuple[int, ...]) -> FiniteScalarQuantizer:
    return FiniteScalarQuantizer(FSQConfig(levels=levels))


def unsquash(quantizer: FiniteScalarQuantizer, points: torch.Tensor) -> torch.Tensor:
    """Latents [M, D] that are squashed to grid points [M, D], by bisection."""
    low, high = torch.full_like(points, -20.0), torch.full_like(points, 20.0)
    for _ in range(60):
        centre = (low + high) / 2
        below = quantizer._bound(centre) < points * (quantizer.levels // 2)
        low, high = torch.where(below, centre, low), torch.where(below, high, centre)
    return (low + high) / 2


@pytest.mark.parametrize("levels", LEVELS)
def test_every_code_survives_a_round_trip(levels: tuple[int, ...]) -> None:
    quantizer = made(levels)
    codes = torch.arange(quantizer.codebook_size)[None, None]
    points = quantizer.lookup(codes)
    z = unsquash(quantizer, points[0, :, 0].T).T[None, :, None]
    result = quantizer(z)
    assert torch.equal(result.codes, codes)
    assert torch.allclose(result.z, points, atol=1e-6)


@pytest.mark.parametrize("levels", LEVELS)
def test_there_are_exactly_as_many_codes_as_the_product_of_the_levels(levels: tuple[int, ...]) -> None:
    quantizer = made(levels)
    assert quantizer.codebook_size == math.prod(levels)
    points = quantizer.lookup(torch.arange(quantizer.codebook_size)[None, None])[0, :, 0].T
    assert len(points.unique(dim=0)) == quantizer.codebook_size
    assert points.abs().max() <= 1


@pytest.mark.parametrize("level", [2, 3, 4, 5, 8, 9])
def test_a_sweep_reaches_each_level_of_a_dimension_and_no_other(level: int) -> None:
    sweep = torch.linspace(-30, 30, 6001).view(1, 1, 1, -1)
    codes = made((level,))(sweep).codes.flatten()
    assert codes.unique().tolist() == list(range(level))
    assert (codes.diff() >= 0).all()


@pytest.mark.parametrize("levels", LEVELS)
def test_gradients_at_zero_are_alive(levels: tuple[int, ...]) -> None:
    z = torch.zeros(1, len(levels), 1, 1, requires_grad=True)
    made(levels)(z).z.sum().backward()
    assert (z.grad > 0.3).all()


def test_the_loss_is_zero_and_nothing_is_saved() -> None:
    quantizer = made((5, 4))
    assert quantizer(torch.randn(1, 2, 3, 3)).loss == 0
    assert not quantizer.state_dict()


@pytest.mark.parametrize("levels", [(), (1, 5), (5, 0), (1001,)])
def test_impossible_levels_are_refused(levels: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="each level must lie in 2"):
        FSQConfig.parse({"levels": levels})
