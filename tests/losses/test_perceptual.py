"""The perceptual distance of mels."""

import pytest
import torch

from melgpt.errors import UserError
from melgpt.losses.perceptual import Perceptual, PerceptualConfig
from melgpt.types import MelScale

BANDS = 16


def made(**options: object) -> Perceptual:
    config = {
        "mel": MelScale(n_mels=BANDS).plain(),
        "channels": [3, 5],
        "convolutions": [1, 2],
        **options,
    }
    return Perceptual(PerceptualConfig.parse(config)).eval()


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(2, 1, BANDS, 24) * 2 - 1, torch.rand(2, 1, BANDS, 24) * 2 - 1


def test_equal_mels_have_no_distance_and_others_have() -> None:
    network, (one, other) = made(), pair()
    assert torch.equal(network(one, one), torch.zeros(2))
    assert (network(one, other) > 0).all()
    assert torch.allclose(network(one, other), network(other, one))


def test_the_distance_is_the_mean_over_the_map_of_weighted_squares_of_unit_vectors() -> None:
    network, (one, other) = made(), pair()
    for weight in network.weights.parameters():
        torch.nn.init.uniform_(weight)
    expected = torch.zeros(2)
    for number in range(2):
        a, b = (network.features(x)[number] for x in (one, other))
        a, b = (x / (x.norm(dim=1, keepdim=True) + 1e-10) for x in (a, b))
        channels = network.weights[number].detach()
        expected += ((a - b).square() * channels[:, None, None]).sum(1).mean((1, 2))
    assert torch.allclose(network(one, other), expected, rtol=1e-5)


def test_maps_are_halved_between_stages() -> None:
    shapes = [list(x.shape) for x in made().features(pair()[0])]
    assert shapes == [[2, 3, BANDS, 24], [2, 5, BANDS // 2, 12]]


def test_each_band_is_scaled_by_its_own_statistics() -> None:
    network = made()
    network.shift.copy_(torch.linspace(-1, 1, BANDS))
    network.spread.copy_(torch.linspace(0.5, 2, BANDS))
    x = pair()[0]
    normalised = network.normalise(x)
    band = 3
    assert torch.allclose(
        normalised[0, 0, band], (x[0, 0, band] - network.shift[band]) / network.spread[band]
    )


def test_dropout_is_active_in_training_alone() -> None:
    network, (one, other) = made(), pair()
    assert torch.equal(network(one, other), network(one, other))
    network.train()
    assert not torch.equal(network(one, other), network(one, other))


def test_silence_has_finite_gradients() -> None:
    network = made()
    x = torch.full((1, 1, BANDS, 8), -1.0, requires_grad=True)
    network(x, pair()[0][:1, ..., :8]).sum().backward()
    assert x.grad.isfinite().all()


def test_stages_that_do_not_match_are_refused() -> None:
    with pytest.raises(UserError, match="must name the same stages, not 3 and 2"):
        PerceptualConfig.parse({"channels": [1, 2, 3], "convolutions": [1, 1]})
