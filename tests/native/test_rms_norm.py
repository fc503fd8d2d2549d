"""RMSNorm that is trained, and its gradients, are the written-out formula's, in either precision."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.native.kernels import Kernels
from melgpt.nn.elements import EPSILON, RMSNorm


def norm(width: int) -> RMSNorm:
    made = RMSNorm(width)
    torch.nn.init.normal_(made.weight)
    return made


def results(part: RMSNorm, x: Tensor, to: Tensor) -> tuple[Tensor, ...]:
    """What is made, and the gradients of x and the weight."""
    made = part(x)
    assert "_RMSNorm" in type(made.grad_fn).__name__, "by the kernels"
    return made.detach(), *torch.autograd.grad(made, (x, part.weight), to)


def exactly(part: RMSNorm, x: Tensor, to: Tensor) -> tuple[Tensor, ...]:
    x, weight = (y.detach().double().requires_grad_() for y in (x, part.weight))
    made = F.rms_norm(x, weight.shape, weight, EPSILON)
    return made.detach(), *torch.autograd.grad(made, (x, weight), to.double())


@pytest.mark.parametrize(("kind", "error"), [(torch.float32, 3e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("shape", [(1, 16), (3, 5, 48), (2, 700, 32), (40, 512)])
def test_vectors_and_gradients(
    kernels: Kernels, shape: tuple[int, ...], kind: torch.dtype, error: float
) -> None:
    part, x, to = norm(shape[-1]), (3 * torch.randn(shape)).to(kind).requires_grad_(), torch.randn(shape)
    for found, expected in zip(results(part, x, to.to(kind)), exactly(part, x, to.to(kind)), strict=True):
        assert (found - expected).abs().max() <= error * max(1, float(expected.abs().max()))
    assert part(x).dtype == kind


def test_vectors_that_do_not_lie_in_order(kernels: Kernels) -> None:
    part, to = norm(16), torch.randn(4, 5, 6, 16)
    x = torch.randn(4, 6, 5, 16).transpose(1, 2).requires_grad_()
    for found, expected in zip(results(part, x, to), exactly(part, x, to), strict=True):
        assert torch.allclose(found.double(), expected, atol=1e-5)


def test_they_do_not_depend_on_threads(kernels: Kernels) -> None:
    part, x, to = norm(64), torch.randn(999, 64, requires_grad=True), torch.randn(999, 64)
    with kernels.on(2):
        several = results(part, x, to)
    with kernels.on(1):
        assert all(map(torch.equal, results(part, x, to), several))


def test_other_widths_and_what_is_not_trained_go_the_plain_way(kernels: Kernels) -> None:
    odd, x = norm(24), torch.randn(3, 24)
    assert torch.equal(odd(x), F.rms_norm(x, (24,), odd.weight, EPSILON))
    part, y = norm(32).eval(), torch.randn(3, 32)
    assert torch.equal(part(y), F.rms_norm(y, (32,), part.weight, EPSILON))
