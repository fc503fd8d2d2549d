"""SwiGLU that is trained, and its gradients, are the written-out formula's, in either precision."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.native.kernels import Kernels
from melgpt.nn.elements import Gate


def results(x: Tensor, to: Tensor) -> tuple[Tensor, Tensor]:
    """What is made, and the gradients of x."""
    made = Gate()(x)
    assert "_Gate" in type(made.grad_fn).__name__, "by the kernels"
    return made.detach(), *torch.autograd.grad(made, x, to)


def exactly(x: Tensor, to: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().double().requires_grad_()
    gate, value = x.chunk(2, dim=-1)
    made = F.silu(gate) * value
    return made.detach(), *torch.autograd.grad(made, x, to.double())


@pytest.mark.parametrize(("kind", "error"), [(torch.float32, 1e-6), (torch.bfloat16, 5e-3)])
@pytest.mark.parametrize("shape", [(1, 16), (3, 5, 48), (2, 700, 32), (40, 512)])
def test_values_and_gradients(
    kernels: Kernels, shape: tuple[int, ...], kind: torch.dtype, error: float
) -> None:
    x = (4 * torch.randn(*shape[:-1], 2 * shape[-1])).to(kind).requires_grad_()
    to = torch.randn(shape).to(kind)
    for found, expected in zip(results(x, to), exactly(x, to), strict=True):
        assert found.dtype == kind
        assert (found - expected).abs().max() <= error * max(1, float(expected.abs().max()))


def test_large_numbers_stay_finite(kernels: Kernels) -> None:
    x, to = torch.linspace(-1e4, 1e4, 64).requires_grad_(), torch.ones(32)
    for found, expected in zip(results(x, to), exactly(x, to), strict=True):
        assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_they_do_not_depend_on_threads_or_on_where_numbers_lie(kernels: Kernels) -> None:
    x, to = torch.randn(64, 999).T.requires_grad_(), torch.randn(32, 999).T
    with kernels.on(2):
        several = results(x, to)
    with kernels.on(1):
        assert all(map(torch.equal, results(x, to), several))
    assert torch.allclose(several[0].double(), exactly(x, to)[0], atol=1e-5)


def test_other_widths_and_what_is_not_trained_go_the_plain_way(kernels: Kernels) -> None:
    for layer, x in ((Gate(), torch.randn(3, 24)), (Gate().eval(), torch.randn(3, 32))):
        gate, value = x.chunk(2, dim=-1)
        assert torch.equal(layer(x), F.silu(gate) * value)
