"""What every registered quantizer must do."""

import io

import pytest
import torch
from torch import Tensor, nn

from melgpt.registry import KINDS, build, configure
from melgpt.types import Quantized

SMALL: dict[str, dict[str, object]] = {
    "vq": {"codes": 12, "dim": 4},
    "ema": {"codes": 12, "dim": 4},
    "fsq": {"levels": [5, 4, 2]},
    "simvq": {"codes": 12, "dim": 4},
    "product": {"parts": 2, "part": {"kind": "ema", "codes": 5, "dim": 3}},
}
"""Sizes that keep the tests quick; a new kind without an entry is tested with its defaults."""


def made(kind: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build("quantizer", configure("quantizer", {"kind": kind, **SMALL.get(kind, {})}))


def latent(quantizer: nn.Module, seed: int = 1) -> Tensor:
    return torch.randn(2, quantizer.dim, 3, 7, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=sorted(KINDS["quantizer"]))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def trained(kind: str) -> nn.Module:
    """A quantizer after three training steps, in evaluation mode."""
    quantizer = made(kind)
    for seed in range(3):
        quantizer(latent(quantizer, seed))
    return quantizer.eval()


def test_shapes_are_kept_and_codes_lie_in_range(trained: nn.Module) -> None:
    z = latent(trained)
    result = trained(z)
    assert isinstance(result, Quantized)
    assert result.z.shape == z.shape
    assert result.codes.shape == (2, 3, 7)
    assert result.codes.dtype == torch.int64
    assert 0 <= int(result.codes.min()) <= int(result.codes.max()) < trained.codebook_size
    assert result.loss.shape == ()
    assert result.loss.isfinite()
    assert all(not value.requires_grad for value in result.metrics.values())


def test_looking_up_the_codes_gives_the_quantized_latent(trained: nn.Module) -> None:
    result = trained(latent(trained))
    assert torch.allclose(trained.lookup(result.codes), result.z, atol=1e-6)


def test_the_gradient_passes_straight_through(trained: nn.Module) -> None:
    z = latent(trained).requires_grad_()
    (trained(z).z * torch.randn_like(z)).sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
    assert (z.grad.abs().sum(1) > 0).all()


def test_perplexity_and_use_describe_the_batch(trained: nn.Module) -> None:
    result = trained(latent(trained))
    share = result.codes.flatten().bincount(minlength=trained.codebook_size) / result.codes.numel()
    entropy = -(share[share > 0] * share[share > 0].log()).sum()
    assert result.metrics["perplexity"] == pytest.approx(float(entropy.exp()), rel=1e-4)
    assert result.metrics["use"] == pytest.approx(float((share > 0).float().mean()))


def test_weights_that_are_saved_and_loaded_give_the_same_results(kind: str, trained: nn.Module) -> None:
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    other = made(kind, seed=9).eval()
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    z = latent(trained)
    assert torch.equal(other(z).z, trained(z).z)
    assert torch.equal(other(z).codes, trained(z).codes)


def test_the_same_seed_gives_the_same_result(kind: str) -> None:
    first, again = made(kind, seed=5), made(kind, seed=5)
    z = latent(first)
    torch.manual_seed(3)
    one = first(z)
    torch.manual_seed(3)
    two = again(z)
    assert torch.equal(one.z, two.z)
    assert torch.equal(one.loss, two.loss)
    assert all(torch.equal(a, b) for a, b in zip(first.buffers(), again.buffers(), strict=True))


def test_evaluation_leaves_the_codebook_alone(trained: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    trained(latent(trained, seed=8))
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())


def test_the_configuration_survives_its_plain_form(trained: nn.Module) -> None:
    assert configure("quantizer", trained.config.plain()) == trained.config
