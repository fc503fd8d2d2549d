"""The codebook of moving averages."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.errors import UserError
from melgpt.quantizers.ema import EMAConfig, EMAQuantizer


def made(**options: float) -> EMAQuantizer:
    return EMAQuantizer(EMAConfig.parse({"codes": 8, "dim": 4, **options}))


def clusters(number: int, each: int, spread: float = 0.02) -> tuple[Tensor, Tensor]:
    """Unit centres [number, 4] far from each other and latents [1, 4, number, each] close to them."""
    centres = torch.cat([torch.eye(4), -torch.eye(4)])[:number]
    noise = spread * torch.randn(number, each, 4)
    return centres, (centres[:, None] + noise).permute(2, 0, 1)[None]  # [number, each, D] → [1, D, …]


def test_kmeans_finds_the_centres_of_the_first_batch() -> None:
    quantizer = made(codes=8, kmeans_steps=10)
    centres, z = clusters(4, 50)
    assert not quantizer.started
    error = 1 - (F.normalize(z, dim=1) * quantizer(z).z).sum(1)
    assert quantizer.started
    assert error.mean() < 2e-3
    nearest = (centres @ quantizer.codebook.T).amax(1)
    assert (nearest > 0.99).all()


def test_evaluation_before_training_does_not_start_kmeans() -> None:
    quantizer = made().eval()
    quantizer(clusters(4, 5)[1])
    assert not quantizer.started


def test_codes_have_unit_length_through_training() -> None:
    quantizer = made()
    for _ in range(5):
        result = quantizer(3 * torch.randn(2, 4, 3, 5))
        assert torch.allclose(quantizer.codebook.norm(dim=1), torch.ones(8), atol=1e-5)
        assert torch.allclose(result.z.norm(dim=1), torch.ones(2, 3, 5), atol=1e-5)


def test_looked_up_codes_have_unit_length_after_their_codebook_was_averaged() -> None:
    quantizer = made().eval()
    quantizer.codebook.mul_(0.5)
    assert torch.allclose(quantizer.lookup(torch.arange(8).view(1, 2, 4)).norm(dim=1), torch.ones(1, 2, 4))


def test_a_batch_smaller_than_the_codebook_can_start_it() -> None:
    quantizer = made(codes=64)
    quantizer(torch.randn(1, 4, 1, 3))
    assert quantizer.codebook.isfinite().all()
    assert quantizer.started


def test_dead_codes_move_to_outputs_of_the_encoder() -> None:
    quantizer = made(codes=8, decay=0.5)
    quantizer(clusters(1, 40)[1])
    far = torch.tensor([0.0, 0.0, 0.0, -1.0])
    with torch.no_grad():
        quantizer.codebook[1:] = far
        quantizer.total[1:] = far
        quantizer.count[1:] = 1
    _, z = clusters(3, 40)
    used_before = quantizer.eval()(z).metrics["use"]
    quantizer.train()
    for _ in range(8):
        quantizer(z)
    after = quantizer.eval()(z)
    assert after.metrics["use"] > used_before
    assert after.codes[0].unique(dim=0).shape[0] >= 3
    outputs = F.normalize(z, dim=1)[0].flatten(1).T  # [M, D]
    assert ((quantizer.codebook[1:] @ outputs.T).amax(1) > 0.99).all()


def test_a_code_follows_the_average_of_what_it_stands_for() -> None:
    quantizer = made(codes=1, decay=0.9)
    quantizer(torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 4, 1, 1))
    turned = torch.tensor([0.0, 1.0, 0.0, 0.0])
    quantizer(turned.view(1, 4, 1, 1))
    expected = F.normalize(0.9 * torch.tensor([1.0, 0, 0, 0]) + 0.1 * turned, dim=0)
    assert torch.allclose(quantizer.codebook[0], expected, atol=1e-5)


def test_the_loss_is_the_squared_distance_times_the_commitment() -> None:
    quantizer = made(commitment=0.5).eval()
    z = torch.randn(2, 4, 2, 3)
    result = quantizer(z)
    distance = (F.normalize(z, dim=1) - quantizer.lookup(result.codes)).square().sum(1).mean()
    assert torch.allclose(result.loss, 0.5 * distance, atol=1e-6)


def test_quantizing_a_code_gives_that_code() -> None:
    quantizer = made().eval()
    codes = torch.arange(8).view(1, 2, 4)
    assert torch.equal(quantizer(quantizer.lookup(codes)).codes, codes)


def test_lengths_of_the_latent_do_not_matter() -> None:
    quantizer = made().eval()
    z = torch.randn(2, 4, 2, 3)
    assert torch.equal(quantizer(z).codes, quantizer(7 * z).codes)


@pytest.mark.parametrize("option", [{"codes": 0}, {"dim": 0}, {"decay": 1.0}, {"commitment": -1.0}])
def test_options_out_of_range_are_named(option: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"option {next(iter(option))}"):
        made(**option)
