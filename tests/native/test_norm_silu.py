"""Group normalisation with SiLU, and its gradients, are the written-out formula's, in either precision."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.native.kernels import Kernels
from melgpt.nn.convolution import NormSiLU

SHAPES = [(1, 16, 2, 3), (2, 48, 3, 5), (1, 32, 17, 40), (3, 128, 20, 31)]


def norm(channels: int) -> NormSiLU:
    made = NormSiLU(channels)
    torch.nn.init.normal_(made.weight)
    torch.nn.init.normal_(made.bias)
    return made


def maps(shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
    """Far from 0, as the sums of squares then are far from the variance."""
    x = (torch.randn(shape) * 3 + 20).to(kind)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def results(part: NormSiLU, x: Tensor, to: Tensor) -> tuple[Tensor, ...]:
    """The map that is made, and gradients of x, weight and bias."""
    made = part(x)
    return made.detach(), *torch.autograd.grad(made, (x, part.weight, part.bias), to)


def exactly(part: NormSiLU, x: Tensor, to: Tensor) -> tuple[Tensor, ...]:
    x, weight, bias = (y.detach().double().requires_grad_() for y in (x, part.weight, part.bias))
    made = F.silu(F.group_norm(x, part.num_groups, weight, bias, part.eps))
    return made.detach(), *torch.autograd.grad(made, (x, weight, bias), to.double())


@pytest.mark.parametrize(("kind", "error"), [(torch.float32, 2e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_maps_and_gradients(
    kernels: Kernels, shape: tuple[int, ...], kind: torch.dtype, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Tensor] = []
    taken = Kernels.norm_silu

    def watched(kernels: Kernels, x: Tensor, *given: Any) -> tuple[Tensor, Tensor]:
        asked.append(x)
        return taken(kernels, x, *given)

    monkeypatch.setattr(Kernels, "norm_silu", watched)
    part, x, to = norm(shape[1]), maps(shape, kind), torch.randn(shape).to(kind)
    for found, expected in zip(results(part, x, to), exactly(part, x, to), strict=True):
        assert (found - expected).abs().max() <= error * max(1, float(expected.abs().max()))
    assert len(asked) == 1
    assert part(x).dtype == kind


def test_they_do_not_depend_on_threads(kernels: Kernels) -> None:
    part, x, to = norm(48), maps((3, 48, 20, 30), torch.float32), torch.randn(3, 48, 20, 30)
    with kernels.on(2):
        several = results(part, x, to)
    with kernels.on(1):
        assert all(map(torch.equal, results(part, x, to), several))


def test_a_part_in_bfloat16_normalises_too(kernels: Kernels) -> None:
    part, x = norm(32).bfloat16(), maps((1, 32, 6, 7), torch.bfloat16)
    expected, *_ = exactly(part, x, torch.zeros_like(x))
    with torch.no_grad():
        assert (part(x) - expected).abs().max() < 0.02 * expected.abs().max()


@pytest.mark.parametrize("channels", [24, 32])
def test_other_layouts_and_channels_go_the_plain_way(kernels: Kernels, channels: int) -> None:
    part, x = norm(channels), torch.randn(2, channels, 5, 6)
    if channels % 16:
        x = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(part(x), F.silu(F.group_norm(x, part.num_groups, part.weight, part.bias, part.eps)))
