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


def test_the_codebooks_weight_scales_its_own_term() -> None:
    z = torch.randn(1, 3, 1, 1)
    whole, part = made(), made(codebook_weight=0.25, commitment=1.0)
    part.load_state_dict(whole.state_dict())
    pulls = []
    for quantizer in (whole, part):
        latent = z.clone().requires_grad_()
        quantizer(latent).loss.backward()
        pulls.append((latent.grad.flatten(), quantizer.codebook.weight.grad.sum(0)))
    assert torch.allclose(pulls[1][0], 4 * pulls[0][0])
    assert torch.allclose(pulls[1][1], pulls[0][1] / 4)


def test_noise_moves_codes_in_training_alone_and_within_the_codebook() -> None:
    quantizer = made(noise_sigma=2)
    codes = torch.arange(6).repeat(100).view(6, 10, 10)
    z = quantizer.lookup(codes).detach()
    assert torch.equal(quantizer.eval()(z).codes, codes)
    result = quantizer.train()(z)
    moved = result.codes - codes
    # P(|N(0, 2)| < 1) is 0.38; at the ends of the codebook the clamp leaves more where they are.
    assert 0.4 < float((moved == 0).float().mean()) < 0.7
    assert set(moved.flatten().tolist()) >= {-3, -2, -1, 0, 1, 2, 3}
    assert (int(result.codes.min()), int(result.codes.max())) == (0, 5)
    assert torch.allclose(result.z, quantizer.lookup(result.codes), atol=1e-6)
    assert result.loss.item() > 0


def test_unused_codes_become_copies_of_quantized_vectors() -> None:
    quantizer = made(restart=True)
    z = quantizer.lookup(torch.tensor([[[1, 4, 4]]])).detach()
    quantizer.eval()(quantizer.lookup(torch.tensor([[[0]]])))
    quantizer.train()(z)
    before = quantizer.codebook.weight.detach().clone()
    moved = quantizer.restart_unused(quantizer(z).z, torch.Generator().manual_seed(0))
    assert moved.tolist() == [0, 2, 3, 5]
    table = quantizer.codebook.weight.detach()
    for code in moved:
        assert any(torch.allclose(table[code], before[used], atol=1e-6) for used in (1, 4))
    assert torch.equal(table[[1, 4]], before[[1, 4]])
    assert not quantizer.usage.any()


def test_the_same_stream_restarts_the_same_way() -> None:
    z, tables = torch.randn(1, 3, 4, 4), []
    for _ in range(2):
        torch.manual_seed(0)
        quantizer = made(restart=True)
        quantizer.restart_unused(z, torch.Generator().manual_seed(3))
        tables.append(quantizer.codebook.weight.detach())
    assert torch.equal(*tables)


def test_usage_is_not_part_of_the_weights() -> None:
    assert set(made(restart=True).state_dict()) == {"codebook.weight"}
