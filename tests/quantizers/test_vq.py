"""The originals' quantizer."""

import torch
from torch.nn import functional as F

from melgpt.quantizers.vq import VectorQuantizer, VQConfig


def made(**options: float) -> VectorQuantizer:
    return VectorQuantizer(VQConfig.parse({"codes": 6, "dim": 3, **options}))


def test_the_loss_is_both_distances_with_the_commitment_as_weight() -> None:
    quantizer = made(commitment=0.5)
    z = torch.randn(2, 3, 2, 4)
    result = quantizer(z)
    distance = (quantizer.lookup(result.codes) - z).square().mean()
    assert torch.allclose(result.loss, 1.5 * distance)


def test_the_codebook_gets_the_whole_gradient_and_the_encoder_the_commitments_share() -> None:
    quantizer = made(commitment=0.25)
    z = torch.randn(1, 3, 1, 1, requires_grad=True)
    result = quantizer(z)
    result.loss.backward()
    code = int(result.codes)
    pull = quantizer.codebook.weight.grad[code]
    assert torch.allclose(z.grad.flatten(), -0.25 * pull)
    assert pull.abs().sum() > 0
    assert quantizer.codebook.weight.grad.abs().sum() == pull.abs().sum()


def test_each_latent_takes_its_nearest_code() -> None:
    quantizer = made()
    torch.nn.init.normal_(quantizer.codebook.weight)
    z = torch.randn(2, 3, 4, 5)
    flat = z.permute(0, 2, 3, 1).reshape(-1, 3)  # [B * H * W, D]
    nearest = torch.cdist(flat, quantizer.codebook.weight).argmin(1)
    assert torch.equal(quantizer(z).codes.flatten(), nearest)


def test_quantizing_a_code_gives_that_code() -> None:
    quantizer = made()
    codes = torch.arange(6).view(1, 2, 3)
    assert torch.equal(quantizer(quantizer.lookup(codes)).codes, codes)


def test_of_equal_codes_the_first_is_taken() -> None:
    quantizer = made()
    with torch.no_grad():
        quantizer.codebook.weight.copy_(torch.randn(2, 3).repeat(3, 1))
    codes = quantizer(torch.randn(2, 3, 4, 5)).codes
    assert set(codes.unique().tolist()) == {0, 1}


def test_codes_start_uniform_within_one_over_their_number() -> None:
    weight = VectorQuantizer(VQConfig(codes=50, dim=40)).codebook.weight
    assert weight.abs().max() <= 1 / 50
    assert torch.allclose(weight.std(), torch.tensor(1 / 50 / 3**0.5), rtol=0.1)
    assert F.mse_loss(weight.mean(), torch.tensor(0.0)) < 1e-6
