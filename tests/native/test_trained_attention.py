"""Attention with dropout as a kernel: the written-out formula with what it drops, and its gradients."""

import pytest
import torch
from torch import Tensor

from melgpt.native.kernels import Kernels

BELOW, SEED = 3 << 14, (1 << 62) + 12345
KINDS = [(torch.float32, 2e-6), (torch.bfloat16, 1e-2)]
SIZES = [(1, 8), (7, 10), (33, 32), (40, 48), (70, 64)]


def kept(kernels: Kernels, count: int, causal: bool) -> Tensor:
    """What weights [2, 3, count, count] are multiplied with: of values that are each key's own axis."""
    even = torch.zeros(2, 3, count, count)
    own = torch.eye(count).expand(2, 3, -1, -1)
    made, _ = kernels.attention(even, even, own, causal=causal, below=BELOW, seed=SEED)
    return made.ne(0) / 0.25


def arrays(kind: torch.dtype, count: int, length: int) -> list[Tensor]:
    """q, k, v and a gradient [2, 3, count, length], not dense in memory."""
    return [torch.randn(2, count, 3, length).to(kind).transpose(1, 2) for _ in range(4)]


def written_out(q: Tensor, k: Tensor, v: Tensor, causal: bool, kept: Tensor) -> Tensor:
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[2:]).triu(1).bool(), -torch.inf)
    return (scores.softmax(-1) * kept) @ v


@pytest.mark.parametrize(("kind", "tolerance"), KINDS)
@pytest.mark.parametrize(("count", "length"), SIZES)
@pytest.mark.parametrize("causal", [True, False])
def test_it_is_the_formula_and_its_gradients(
    kernels: Kernels, kind: torch.dtype, tolerance: float, count: int, length: int, causal: bool
) -> None:
    q, k, v, gradient = arrays(kind, count, length)
    if not kernels.attends(q):
        pytest.skip("the processor does not multiply bfloat16")
    how = {"causal": causal, "below": BELOW, "seed": SEED}
    made, sums = kernels.attention(q, k, v, **how)
    found = kernels.attention_back(gradient, q, k, v, sums, **how)
    exact = [x.float().requires_grad_() for x in (q, k, v)]
    expected = written_out(*exact, causal, kept(kernels, count, causal))
    gradients = torch.autograd.grad((expected * gradient.float()).sum(), exact)
    for one, other in zip((made, *found), (expected, *gradients), strict=True):
        assert one.dtype == kind
        assert torch.allclose(one.float(), other, atol=tolerance * max(1, float(other.detach().abs().max())))


def test_the_share_is_dropped_anew_in_each_head(kernels: Kernels) -> None:
    left = kept(kernels, 150, causal=False).ne(0).float()
    assert float(left.mean()) == pytest.approx(0.25, abs=0.005)
    one, other = left.flatten(0, 1)[:2] - 0.25
    assert abs(float((one * other).mean())) < 0.01
    assert abs(float((left[..., 1:, :] - 0.25).mul(left[..., :-1, :] - 0.25).mean())) < 0.01


def test_it_is_the_same_whatever_the_threads(kernels: Kernels) -> None:
    q, k, v, gradient = arrays(torch.float32, 37, 16)
    how = {"causal": True, "below": BELOW, "seed": SEED}
    made = []
    for threads in (1, 3):
        with kernels.on(threads):
            attended, sums = kernels.attention(q, k, v, **how)
            made.append((attended, sums, *kernels.attention_back(gradient, q, k, v, sums, **how)))
    assert all(torch.equal(one, other) for one, other in zip(*made, strict=True))


def test_scores_far_apart_do_no_harm(kernels: Kernels) -> None:
    q, k, v, gradient = arrays(torch.float32, 20, 8)
    how = {"causal": True, "below": 0, "seed": 1}
    made, sums = kernels.attention(1e3 * q, k, v, **how)
    assert torch.allclose(made, written_out(1e3 * q, k, v, True, torch.ones(())), atol=1e-5)
    assert all(x.isfinite().all() for x in kernels.attention_back(gradient, 1e3 * q, k, v, sums, **how))
