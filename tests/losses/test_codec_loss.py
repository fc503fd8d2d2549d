"""The codec's loss as a whole."""

import pytest
import torch
from torch import Tensor, nn

from melgpt.losses.adversarial import adaptive_weight, discriminator_loss
from melgpt.losses.codec import CodecLoss, CodecLossWeights, codec_loss


@pytest.fixture
def layer() -> nn.Parameter:
    return nn.Parameter(torch.full((4,), 2.0))


def loss_of(layer: Tensor, weights: CodecLossWeights, **terms: object) -> CodecLoss:
    """Of a reconstruction that is 2 off everywhere, L1 gradient 1/4 an element."""
    values = torch.zeros(1, 1, 2, 2)
    options = {"last_layer": layer, "weights": weights, **terms}
    return codec_loss(values, layer.view(1, 1, 2, 2), torch.tensor(3.0), **options)


def test_before_the_discriminator_it_is_l1_and_quantizer(layer: nn.Parameter) -> None:
    loss = loss_of(layer, CodecLossWeights(quantizer=0.5))
    assert loss.total.item() == 2 + 0.5 * 3
    assert loss.perceptual is loss.adversarial is loss.adversarial_weight is None


def test_the_perceptual_distance_is_added_to_what_the_discriminator_is_weighed_against(
    layer: nn.Parameter,
) -> None:
    weights = CodecLossWeights(quantizer=0.0, perceptual=10.0, adversarial=0.5, adversarial_limit=100.0)
    distance, logits = 0.1 * layer, -layer
    loss = loss_of(layer, weights, perceptual_distance=distance, fake_logits=logits)
    assert loss.fidelity.item() == pytest.approx(2 + 10 * 0.2)
    # Gradients an element: 1/4 of L1 and 10 * 0.1 / 4 of the distance, against 1/4.
    assert float(loss.adversarial_weight) == pytest.approx(0.5 * 2, rel=1e-3)
    assert loss.total.item() == pytest.approx(4 + 1.0 * 2, rel=1e-3)


def test_a_factor_of_nothing_reports_the_adversarial_terms_alone(layer: nn.Parameter) -> None:
    loss = loss_of(layer, CodecLossWeights(), fake_logits=layer, adversarial_factor=0.0)
    assert loss.total.item() == 2 + 3
    assert float(loss.adversarial_weight) > 0
    assert loss.adversarial.item() == -2


@pytest.mark.parametrize(("least", "limit", "expected"), [(0, 9, 4), (5, 9, 5), (0, 1, 1), (1, 1, 1)])
def test_the_adaptive_weight_lies_within_its_bounds(least: float, limit: float, expected: float) -> None:
    layer = nn.Parameter(torch.ones(4))
    weight = adaptive_weight(8 * layer.sum(), 2 * layer.sum(), layer, limit, least=least)
    assert float(weight) == pytest.approx(expected, rel=1e-3)


def test_the_vanilla_loss_is_the_cross_entropy_of_real_and_fake() -> None:
    real, fake = torch.randn(5), torch.randn(7)
    bce = nn.functional.binary_cross_entropy_with_logits
    expected = 0.5 * (bce(real, torch.ones(5)) + bce(fake, torch.zeros(7)))
    assert torch.allclose(discriminator_loss(real, fake, "vanilla"), expected)
