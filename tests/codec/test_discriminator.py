"""The PatchGAN."""

import pytest
import torch
from torch import nn

from melgpt.codec.discriminator import Discriminator, DiscriminatorConfig
from melgpt.errors import UserError


def test_the_seeds_size_has_the_originals_parameters_and_logit_map() -> None:
    with torch.device("meta"):
        discriminator = Discriminator(DiscriminatorConfig())
        assert sum(p.numel() for p in discriminator.parameters()) == 2_763_585
        assert discriminator(torch.empty(1, 1, 80, 848)).shape == (1, 1, 8, 104)
        assert discriminator(torch.empty(1, 1, 80, 96)).shape == (1, 1, 8, 10)


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_all_but_the_last_two_layers_halve_the_map(layers: int) -> None:
    discriminator = Discriminator(DiscriminatorConfig(channels=2, layers=layers))
    strides = [m.stride[0] for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert strides == [2] * layers + [1, 1]
    side = 64 // 2**layers - 2
    assert discriminator(torch.randn(2, 1, 64, 64)).shape == (2, 1, side, side)


def test_channels_grow_eightfold_at_most() -> None:
    discriminator = Discriminator(DiscriminatorConfig(channels=2, layers=5))
    widths = [m.out_channels for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [2, 4, 8, 16, 16, 16, 1]


def test_gradients_reach_every_parameter() -> None:
    discriminator = Discriminator(DiscriminatorConfig(channels=4, layers=2))
    discriminator(torch.randn(2, 1, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in discriminator.parameters())


def test_weights_start_with_the_originals_spread() -> None:
    first = Discriminator(DiscriminatorConfig(channels=16, layers=3)).layers[5].weight
    assert float(first.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(UserError, match="option layers"):
        DiscriminatorConfig.parse({"layers": 0})


def test_in_one_dimension_the_bands_are_channels_and_patches_lie_in_time() -> None:
    discriminator = Discriminator(DiscriminatorConfig(channels=2, layers=2, dimensions=1), bands=5)
    assert discriminator(torch.randn(3, 1, 5, 64)).shape == (3, 1, 64 // 4 - 2)
    assert not [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]


def test_in_one_dimension_few_bands_are_no_obstacle() -> None:
    flat, square = (DiscriminatorConfig(layers=3, dimensions=n) for n in (1, 2))
    assert flat.patches(flat.shortest_axis(bands=8, frames=64)) == 6
    assert square.patches(square.shortest_axis(bands=8, frames=64)) < 1
