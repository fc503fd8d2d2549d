"""Dropout on the CPU drops the share that it says, and attention with it is the written-out formula."""

import pytest
import torch
from torch import Tensor

from melgpt.native.kernels import Kernels
from melgpt.nn import dropout
from melgpt.nn.dropout import Dropout, attend


@pytest.fixture(params=[True, False], ids=["kernels", "torch"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        request.getfixturevalue("kernels")
    else:
        monkeypatch.setattr(dropout, "find_kernels", lambda: None)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("share", [0.01, 0.1, 0.9])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_share_is_dropped_and_made_up_for(share: float, kind: torch.dtype) -> None:
    x = torch.ones(1000, 999, dtype=kind, requires_grad=True)
    made = Dropout(share)(x)
    (gradient,) = torch.autograd.grad(made.sum(), x)
    made = made.detach()
    assert float((made == 0).float().mean()) == pytest.approx(share, abs=2e-3)
    assert float(made.float().mean()) == pytest.approx(1, rel=0.02)
    assert len(made.unique()) == 2
    assert torch.equal(gradient, made)


@pytest.mark.usefixtures("either_way")
def test_dropping_is_seeded_and_differs_from_call_to_call() -> None:
    layer, x = Dropout(0.5), torch.ones(33, 7)
    torch.manual_seed(1)
    first, second = layer(x), layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [1, 37, 8192 + 33])
def test_the_kernel_drops_the_same_whatever_the_threads(
    kernels: Kernels, kind: torch.dtype, count: int
) -> None:
    x, below, seed = torch.randn(count).to(kind), 1 << 14, (1 << 62) + 12345
    with kernels.on(2):
        made = kernels.dropout(x, below, seed)
    with kernels.on(1):
        assert torch.equal(kernels.dropout(x, below, seed), made)
    left = made != 0
    assert torch.allclose(made[left].float(), x[left].float() / 0.75, rtol=5e-3)
    assert torch.equal(kernels.dropout(x[: count // 2], below, seed), made[: count // 2])


def test_draws_are_as_even_and_apart_as_chance_has_them(kernels: Kernels) -> None:
    """Neighbours, rows, halves of a word and calls: what is dropped here says nothing of there."""
    x, share = torch.ones(512, 4096), 0.5
    first, second = (kernels.dropout(x, 1 << 15, seed).bool().float() - share for seed in (7, 8))
    pairs = {
        "neighbours": (first[:, 1:], first[:, :-1]),
        "halves of a word": (first[:, 16:], first[:, :-16]),
        "rows": (first[1:], first[:-1]),
        "seeds": (first, second),
        "seeds, moved": (first[:, 2:], second[:, :-2]),
    }
    for what, (one, other) in pairs.items():
        assert abs(float((one * other).mean())) < 5 * 0.25 / one.numel() ** 0.5, what
    assert abs(float(first.mean())) < 5 * 0.5 / first.numel() ** 0.5
    assert float(first.mean(0).std()) == pytest.approx(0.5 / 512**0.5, rel=0.1)


def test_nothing_is_dropped_outside_training_or_at_0() -> None:
    x = torch.randn(5, 6)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("at_once", [1, 3 * 7 * 7, 1 << 21])
@pytest.mark.parametrize("causal", [True, False])
def test_attention_drops_weights(causal: bool, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the kernels, whose own test is in tests/native."""
    monkeypatch.setattr(dropout, "find_kernels", lambda: None)
    kept = torch.rand(4 * 3, 7, 7).gt(0.3) / 0.7
    pieces = iter(kept.split(max(1, at_once // 49)))
    monkeypatch.setattr(dropout, "AT_ONCE", at_once)
    monkeypatch.setattr(dropout, "drop", lambda x, share: x * next(pieces))
    q, k, v = (torch.randn(4, 3, 7, 5, requires_grad=True) for _ in range(3))

    def written_out() -> Tensor:
        scores = q @ k.transpose(2, 3) / 5**0.5
        if causal:
            scores = scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -torch.inf)
        return (scores.softmax(-1) * kept.view(4, 3, 7, 7)) @ v

    found, expected = attend(q, k, v, causal=causal, dropout=0.3), written_out()
    assert torch.allclose(found, expected, atol=1e-6)
    to = torch.randn_like(found)
    for one, other in zip(
        *(torch.autograd.grad((made * to).sum(), (q, k, v)) for made in (found, expected)), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_attention_with_dropout_is_seeded_and_right_on_average(kind: torch.dtype) -> None:
    q, k, v = (torch.randn(1, 2, 9, 8).to(kind) for _ in range(3))
    torch.manual_seed(1)
    first = attend(q, k, v, causal=True, dropout=0.2)
    others = [attend(q, k, v, causal=True, dropout=0.2) for _ in range(800)]
    torch.manual_seed(1)
    assert torch.equal(attend(q, k, v, causal=True, dropout=0.2), first)
    assert not torch.equal(others[0], first)
    expected = attend(q, k, v, causal=True).float()
    assert torch.allclose(torch.stack(others).float().mean(0), expected, atol=0.2)


def test_without_dropout_attention_is_torchs() -> None:
    q, k, v = (torch.randn(2, 3, 6, 4) for _ in range(3))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert torch.equal(attend(q, k, v, causal=True), expected)
