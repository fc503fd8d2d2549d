"""Convolutions with fewer products, and their gradients, are what the plain ones are, whatever the map."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.native.kernels import Kernels
from melgpt.nn.convolution import Conv3x3
from melgpt.runtime import has_matrix_units


def layer(inputs: int, outputs: int) -> Conv3x3:
    return Conv3x3(inputs, outputs).eval()


def exactly(part: Conv3x3, x: Tensor) -> Tensor:
    weight, bias = part.weight.detach().double(), part.bias
    return F.conv2d(x.double(), weight, None if bias is None else bias.detach().double(), padding=1)


SHAPES = [(1, 16, 16, 1, 1), (2, 32, 48, 5, 7), (1, 64, 80, 1, 30), (3, 16, 32, 4, 4), (1, 128, 32, 20, 23)]
"""Clips, inputs, outputs, height, width: of the last one the tiles have 4 x 4 results."""


@pytest.mark.parametrize("shape", SHAPES)
def test_maps_are_those_of_the_plain_convolution(kernels: Kernels, shape: tuple[int, ...]) -> None:
    batch, inputs, outputs, height, width = shape
    part, x = layer(inputs, outputs), torch.randn(batch, inputs, height, width)
    with torch.inference_mode():
        made = part(x)
        assert torch.allclose(made.double(), exactly(part, x), atol=2e-5)
        assert torch.equal(made, part(x.contiguous(memory_format=torch.channels_last))), "in either layout"
        part.bias = None
        assert torch.allclose(part(x).double(), exactly(part, x), atol=2e-5)


@pytest.mark.parametrize(("side", "error"), [(2, 3e-6), (4, 2e-5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_tiles_of_either_size(kernels: Kernels, shape: tuple[int, ...], side: int, error: float) -> None:
    batch, inputs, outputs, height, width = shape
    part, x = layer(inputs, outputs), torch.randn(batch, inputs, height, width)
    made = kernels.convolve(x, kernels.in_tiles(part.weight, x.dtype, side), part.bias.detach(), outputs)
    assert (made - exactly(part, x)).abs().max() < error
    y, turned = (
        torch.randn(batch, outputs, height, width),
        kernels.in_tiles(part.weight, x.dtype, side, turned=True),
    )
    back = F.conv_transpose2d(y.double(), part.weight.detach().double(), padding=1)
    assert (kernels.convolve(y, turned, None, inputs) - back).abs().max() < error


def test_the_size_of_tiles_suits_the_map(kernels: Kernels) -> None:
    assert kernels.side(torch.empty(1, 128, 80, 848)) == kernels.side(torch.empty(8, 64, 20, 64)) == 4
    assert kernels.side(torch.empty(1, 512, 5, 53)) == kernels.side(torch.empty(64, 512, 5, 53)) == 2
    assert kernels.side(torch.empty(1, 128, 80, 848, dtype=torch.bfloat16)) == 2


@pytest.mark.parametrize("shape", SHAPES)
def test_in_bfloat16_they_are_as_near_as_rounding_lets_them(kernels: Kernels, shape: tuple[int, ...]) -> None:
    batch, inputs, outputs, height, width = shape
    part, x = layer(inputs, outputs).bfloat16(), torch.randn(batch, inputs, height, width).bfloat16()
    with torch.inference_mode():
        made, exact = part(x), exactly(part, x)
    assert made.dtype == torch.bfloat16
    assert (made.double() - exact).pow(2).mean().sqrt() < 0.01 * exact.pow(2).mean().sqrt()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_map_depends_neither_on_those_beside_it_nor_on_threads(kernels: Kernels, kind: torch.dtype) -> None:
    part, x = layer(32, 48).to(kind), torch.randn(7, 32, 10, 31).to(kind)
    with torch.inference_mode(), kernels.on(2):
        together, alone = part(x), torch.cat([part(each[None]) for each in x])
        with kernels.on(1):
            assert torch.equal(part(x), together)
    if kind == torch.float32 or kernels.multiplies_halves:
        assert torch.equal(alone, together)


def gradients(part: Conv3x3, x: Tensor, to: Tensor) -> tuple[Tensor, ...]:
    """Of the map, the weights and the bias, where the results' is `to`."""
    made = part(x)
    assert "_Conv3x3" in type(made.grad_fn).__name__, "by the kernels"
    return torch.autograd.grad(made, (x, part.weight, part.bias), to)


def exact_gradients(part: Conv3x3, x: Tensor, to: Tensor) -> tuple[Tensor, ...]:
    x, weight, bias = (y.detach().double().requires_grad_() for y in (x, part.weight, part.bias))
    return torch.autograd.grad(F.conv2d(x, weight, bias, padding=1), (x, weight, bias), to.double())


STRETCHES = [(2, 16, 16, 60, 90), (3, 96, 80, 40, 51)]
"""So many tiles that they are summed in several stretches; blocks that are not full."""


@pytest.mark.parametrize("shape", [*SHAPES, *STRETCHES, (1, 144, 160, 6, 5)])
def test_gradients_are_those_of_the_plain_convolution(kernels: Kernels, shape: tuple[int, ...]) -> None:
    batch, inputs, outputs, height, width = shape
    part, x = Conv3x3(inputs, outputs), torch.randn(batch, inputs, height, width, requires_grad=True)
    to = torch.randn(batch, outputs, height, width)
    for made, exact in zip(gradients(part, x, to), exact_gradients(part, x, to), strict=True):
        assert made.dtype == torch.float32
        assert (made - exact).abs().max() < 1e-5 * exact.abs().max()


@pytest.mark.parametrize("shape", [*SHAPES, *STRETCHES])
def test_in_bfloat16_weights_keep_their_precision(kernels: Kernels, shape: tuple[int, ...]) -> None:
    if not kernels.multiplies_halves or has_matrix_units():
        pytest.skip("the kernels take no bfloat16 on this processor")
    batch, inputs, outputs, height, width = shape
    part, x = Conv3x3(inputs, outputs), torch.randn(batch, inputs, height, width, requires_grad=True)
    to = torch.randn(batch, outputs, height, width).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert part(x).dtype == torch.bfloat16
        found = gradients(part, x, to)
    for made, exact in zip(found, exact_gradients(part, x, to), strict=True):
        assert made.dtype == torch.float32
        assert (made - exact).pow(2).mean().sqrt() < 0.01 * exact.pow(2).mean().sqrt()


def test_gradients_do_not_depend_on_threads(kernels: Kernels) -> None:
    part, x, to = Conv3x3(32, 48), torch.randn(2, 32, 60, 91, requires_grad=True), torch.randn(2, 48, 60, 91)
    with kernels.on(2):
        several = gradients(part, x, to)
    with kernels.on(1):
        assert all(map(torch.equal, gradients(part, x, to), several))


def test_only_what_is_asked_for_has_a_gradient(kernels: Kernels) -> None:
    part, x = Conv3x3(16, 32), torch.randn(1, 16, 6, 7)
    part(x).sum().backward()
    assert part.weight.grad is not None
    assert part.bias.grad is not None
    part.requires_grad_(False)
    x.requires_grad_()
    part.bias = None
    (made,) = torch.autograd.grad(part(x).square().sum(), x)
    y = x.detach().double().requires_grad_()
    (exact,) = torch.autograd.grad(exactly(part, y).square().sum(), y)
    assert (made - exact).abs().max() < 1e-5 * exact.abs().max()


def test_switched_off_it_takes_the_plain_way(kernels: Kernels) -> None:
    part, x = Conv3x3(16, 16), torch.randn(1, 16, 6, 6)
    part.compiled = False
    made = part(x)
    assert "_Conv3x3" not in type(made.grad_fn).__name__
    assert torch.equal(made, F.conv2d(x, part.weight, part.bias, padding=1))


def test_what_it_is_not_for_goes_the_plain_way(kernels: Kernels) -> None:
    odd = layer(24, 16)
    with torch.inference_mode():
        y = torch.randn(1, 24, 6, 6)
        assert torch.equal(odd(y), F.conv2d(y, odd.weight, odd.bias, padding=1))


def test_weights_that_change_afterwards_count(kernels: Kernels) -> None:
    part, x = layer(16, 16), torch.randn(1, 16, 6, 6)
    with torch.no_grad():
        before = part(x)
        part.weight.mul_(2)
        part.bias.mul_(2)
        assert torch.allclose(part(x), 2 * before, atol=1e-5)
        part.weight = torch.nn.Parameter(torch.zeros_like(part.weight))
        assert torch.allclose(part(x), part.bias[:, None, None].expand(1, 16, 6, 6))


def test_what_a_fused_optimiser_learnt_counts(kernels: Kernels) -> None:
    part, x = layer(16, 16), torch.randn(1, 16, 6, 6)
    optimiser = torch.optim.AdamW(part.parameters(), lr=0.1, fused=True)
    with torch.no_grad():
        part(x)
    part(x).square().sum().backward()
    optimiser.step()
    with torch.no_grad():
        assert torch.allclose(part(x).double(), exactly(part, x), atol=1e-5)


def test_what_does_not_fit_is_refused(kernels: Kernels) -> None:
    ordered = kernels.in_tiles(torch.randn(32, 16, 3, 3), torch.float32, 2)
    for x, outputs in ((torch.randn(1, 32, 4, 4), 32), (torch.randn(1, 16, 4, 4), 96)):
        with pytest.raises(ValueError, match="for weights"):
            kernels.convolve(x, ordered, None, outputs)
    with pytest.raises(ValueError, match="for weights"):
        kernels.convolve(torch.randn(1, 16, 4, 4).double(), ordered, None, 32)
    x = torch.randn(1, 16, 4, 4)
    for gradient in (torch.randn(1, 32, 4, 5), torch.randn(1, 24, 4, 4), torch.randn(1, 32, 4, 4).bfloat16()):
        with pytest.raises(ValueError, match="for maps"):
            kernels.convolve_back(x, gradient)
