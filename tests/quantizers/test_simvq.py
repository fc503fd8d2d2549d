"""The codebook behind one linear layer."""

import torch

from melgpt.quantizers.simvq import SimVQConfig, SimVQQuantizer


def made(**options: float) -> SimVQQuantizer:
    torch.manual_seed(0)
    return SimVQQuantizer(SimVQConfig.parse({"codes": 16, "dim": 4, **options}))


def test_the_nearest_code_is_taken() -> None:
    quantizer = made()
    z = torch.randn(2, 4, 3, 5)
    codebook = quantizer.lookup(torch.arange(16).view(1, 1, 16))[0, :, 0].T
    distance = torch.cdist(z.permute(0, 2, 3, 1).reshape(-1, 4), codebook)
    assert torch.equal(quantizer(z).codes.flatten(), distance.argmin(1))


def test_a_step_moves_every_code_though_few_are_used() -> None:
    quantizer = made()
    before = quantizer.lookup(torch.arange(16).view(1, 1, 16)).detach().clone()
    z = torch.full((1, 4, 1, 2), 3.0)
    result = quantizer(z)
    assert result.metrics["use"] == 1 / 16
    result.loss.backward()
    with torch.no_grad():
        quantizer.basis.weight -= 0.1 * quantizer.basis.weight.grad
    moved = (quantizer.lookup(torch.arange(16).view(1, 1, 16)) - before).abs().sum(1)
    assert (moved > 0).all()


def test_the_random_codebook_is_not_learnt_but_saved() -> None:
    quantizer = made()
    assert [name for name, _ in quantizer.named_parameters()] == ["basis.weight"]
    assert "frozen" in quantizer.state_dict()


def test_the_loss_pulls_code_and_encoder_together() -> None:
    quantizer = made(commitment=0.5)
    z = torch.randn(1, 4, 2, 3)
    result = quantizer(z)
    distance = (quantizer.lookup(result.codes) - z).square().mean()
    assert torch.allclose(result.loss, 1.5 * distance)
