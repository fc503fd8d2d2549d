"""The compiled kernels give what torch gives, whatever is beside a row; without a compiler all goes on."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.native.kernels import Bank, Kernels, find_kernels, kernels_in
from melgpt.native.wanted import kernels_if
from melgpt.nn.linear import Linear, packed
from melgpt.nn.transformer import (
    GELU,
    Attention,
    BlockConfig,
    LayerCache,
    LayerNorm,
    RMSNorm,
    SwiGLU,
    rotary_angles,
)
from melgpt.runtime import threads


def _linear(
    kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor | None, *, halves: bool = False
) -> Tensor:
    return kernels.linear(x, kernels.in_order(weight), bias, len(weight), halves=halves)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("inputs", "outputs"), [(2, 1), (96, 160), (1030, 33), (514, 64)])
@pytest.mark.parametrize("rows", [*range(1, 14), 48, 49, 100])
def test_products_are_those_of_the_rounded_weights(
    kernels: Kernels, rows: int, inputs: int, outputs: int, bias: bool
) -> None:
    weight, x = torch.randn(outputs, inputs), torch.randn(rows, 1, inputs)
    offset = torch.randn(outputs) if bias else None
    expected = F.linear(x.double(), weight.bfloat16().double(), None if offset is None else offset.double())
    assert torch.allclose(_linear(kernels, x, weight, offset).double(), expected, atol=1e-6 * inputs)


@pytest.mark.parametrize(("inputs", "outputs"), [(2, 1), (96, 160), (1030, 33)])
@pytest.mark.parametrize("rows", [*range(1, 14), 49])
def test_inputs_are_rounded_too_where_that_is_allowed_and_quicker(
    kernels: Kernels, rows: int, inputs: int, outputs: int
) -> None:
    weight, x, bias = torch.randn(outputs, inputs), torch.randn(rows, inputs), torch.randn(outputs)
    made = _linear(kernels, x, weight, bias, halves=True).double()
    exact, rounded = (
        F.linear(given.double(), weight.bfloat16().double(), bias.double()) for given in (x, x.bfloat16())
    )
    assert min((made - exact).abs().max(), (made - rounded).abs().max()) < 1e-6 * inputs


def test_weights_are_rounded_as_torch_rounds_them(kernels: Kernels) -> None:
    weight = torch.randn(33, 514) * 10 ** torch.randn(33, 514)
    weight[0, :6] = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0, 1 + 2**-8, 1 + 3 * 2**-8])
    # Not a number either, with bits below the upper half.
    weight[1, 1] = torch.tensor(0x7FA12345, dtype=torch.int32).view(torch.float32)
    ordered = kernels.in_order(weight)
    panels = ordered.view(-1, 257, kernels.in_order(weight[:1]).shape[0] // 2, 2).transpose(1, 2)
    found = panels.reshape(len(ordered), 514)
    assert torch.equal(found[:33].nan_to_num(7), weight.bfloat16().nan_to_num(7))
    assert not found[33:].any()


@pytest.mark.parametrize("halves", [False, True])
def test_a_row_does_not_depend_on_those_beside_it_nor_on_threads(kernels: Kernels, halves: bool) -> None:
    weight, x = torch.randn(130, 1100), torch.randn(61, 1100)
    alone = torch.cat([_linear(kernels, row[None], weight, None, halves=halves) for row in x])
    for count in (2, 3, 5, 8, 33, 61):
        parts = [_linear(kernels, part, weight, None, halves=halves) for part in x.split(count)]
        assert torch.equal(torch.cat(parts), alone)
    with threads(1):
        assert torch.equal(_linear(kernels, x, weight, None, halves=halves), alone)


def test_rows_in_bfloat16_stay_so(kernels: Kernels) -> None:
    x, weight = torch.randn(3, 64).bfloat16(), torch.randn(40, 64)
    made = _linear(kernels, x, weight, None)
    assert made.dtype == torch.bfloat16
    assert torch.allclose(made.float(), F.linear(x.float(), weight.bfloat16().float()), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("kind", [RMSNorm, LayerNorm])
@pytest.mark.parametrize("width", [6, 64, 100])
def test_norms_are_torchs(kernels: Kernels, width: int, kind: type[RMSNorm] | type[LayerNorm]) -> None:
    norm, x = kind(width), torch.randn(5, 3, width) + 2
    with torch.inference_mode():
        for parameter in norm.parameters():
            parameter.uniform_(0.5, 2)
        expected = norm(x)
        with kernels_in(norm, kernels):
            assert torch.allclose(norm(x), expected, atol=1e-5)


@pytest.mark.parametrize("length", [2, 32, 51, 9000])
def test_activations_are_torchs(kernels: Kernels, length: int) -> None:
    x = torch.cat([torch.linspace(-100, 100, 999 * length), torch.randn(25 * length)]).view(-1, length)
    exact = F.gelu(x.double()), F.silu(x.double()) * x.flip(0)
    assert torch.allclose(kernels.gelu(x).double(), exact[0], rtol=1e-6, atol=1e-6)
    both = torch.cat([x, x.flip(0)], dim=1)
    assert torch.allclose(kernels.swiglu(both).double(), exact[1], rtol=1e-6, atol=1e-6)
    assert kernels.gelu(torch.full((1, 3), torch.nan)).isnan().all()


@pytest.mark.parametrize("layer", [SwiGLU, GELU])
def test_feed_forward_layers_have_them(
    kernels: Kernels, layer: type[SwiGLU] | type[GELU], monkeypatch: pytest.MonkeyPatch
) -> None:
    part, x = layer(BlockConfig(width=36, heads=2)), torch.randn(2, 1, 36)
    asked = []
    for name in ("swiglu", "gelu"):
        kernel = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda x, kernel=kernel: (asked.append(1), kernel(x))[1])
    with torch.inference_mode():
        expected = part(x)
        assert not asked
        with kernels_in(part, kernels):
            assert torch.allclose(part(x), expected, atol=1e-6)
    assert asked == [1]


@pytest.mark.parametrize(("width", "heads"), [(24, 2), (48, 1), (256, 2), (256, 4)])
@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize(("batch", "kept"), [(1, torch.float32), (3, torch.float32), (3, torch.bfloat16)])
def test_attention_to_the_past_is_torchs(
    kernels: Kernels, batch: int, kept: torch.dtype, modern: bool, width: int, heads: int
) -> None:
    sizes = {"layers": 1, "width": width, "heads": heads, "dropout": 0.0}
    layer = Attention(BlockConfig.parse(sizes) if modern else BlockConfig.seed(**sizes)).eval()
    x, length = torch.randn(batch, 300, width), width // heads
    with torch.inference_mode():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * width**-0.5)

        def run() -> tuple[Tensor, LayerCache]:
            room = (batch, heads, 310, length)
            cache = LayerCache(*(torch.full(room, torch.nan, dtype=kept) for _ in range(2)))
            outputs = []
            for at in range(x.shape[1]):
                angles = rotary_angles(torch.arange(at, at + 1), length) if modern else None
                outputs.append(layer(x[:, at : at + 1], at, angles, cache))
            return torch.cat(outputs, dim=1), cache

        expected, plain = run()
        with kernels_in(layer, kernels):
            found, quick = run()
    # What is rounded here and there may lie on either side of the middle between two numbers.
    error = 1e-4 if kept is torch.float32 else 2e-2
    assert torch.allclose(found, expected, atol=error)
    assert torch.allclose(quick.keys[:, :, :300], plain.keys[:, :, :300], atol=error, rtol=error)
    assert torch.allclose(quick.values[:, :, :300], plain.values[:, :, :300], atol=error, rtol=error)
    assert quick.keys[:, :, 300:].isnan().all(), "room that nobody has come to yet stays untouched"


def test_attention_to_a_long_past_is_torchs(kernels: Kernels) -> None:
    heads, length, position = 2, 40, 2600  # more than are looked at in one go, the likeliest ones at the end
    qkv = torch.randn(1, 1, 3 * heads * length)
    keys, values = torch.randn(2, 1, heads, position + 1, length)
    keys *= torch.linspace(0, 3, position + 1)[:, None]
    query, key, value = qkv.view(3, 1, heads, 1, length)
    keys[:, :, -1:], values[:, :, -1:] = key, value
    expected = F.scaled_dot_product_attention(query, keys, values).transpose(1, 2).flatten(2)
    keys[:, :, -1], values[:, :, -1] = 0, 0
    found = kernels.attend(qkv, keys, values, position, None, (), 1e-6)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.equal(keys[:, :, -1:], key)


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (2048, 300), (8, 3), (512, 400)])
@pytest.mark.parametrize("frames", [1, 2, 3, 700])
def test_mels_are_those_of_the_transform(kernels: Kernels, n_fft: int, hop: int, frames: int) -> None:
    half, window = n_fft // 2, torch.rand(n_fft)
    samples = torch.randn((frames - 1) * hop + half + max(1, hop - 1))
    filters = torch.zeros(6, half + 1)
    filters[1, 0] = filters[2, 1:4] = filters[3, 2:] = filters[4, -1] = 0.5  # two are empty
    error, floor = torch.rand(6), 0.01 * n_fft**0.5
    bank = Bank(filters, error, (floor, 0.1, 0.4, 0.5))
    found, doubts = kernels.mel(samples, window, hop, bank)
    mirrored = torch.cat([samples[1 : half + 1].flip(0), samples]).double()
    windowed = mirrored.unfold(0, n_fft, hop) * window
    magnitudes = filters.double() @ torch.fft.rfft(windowed).abs().T
    expected = (magnitudes.clamp(min=floor).log() * 0.1 + 0.4).clamp(0, 1)
    assert torch.allclose(found.double(), expected, atol=3e-6)
    errors = error.double()[:, None] * windowed.norm(dim=1)
    likely, possible = (
        ((errors > (0.5 + e) * magnitudes) & (magnitudes + errors > floor + e)).any(0) for e in (1e-4, -1e-4)
    )
    assert doubts[likely].all()
    assert not doubts[~possible].any()
    assert (likely == possible).float().mean() > 0.9
    with pytest.raises(ValueError, match="samples for windows of"):
        kernels.mel(samples[:half], window, hop, bank)


def test_a_sound_that_is_no_number_gives_none(kernels: Kernels) -> None:
    samples = torch.randn(3000)
    samples[1500] = torch.nan
    bank = Bank(torch.rand(4, 129), torch.zeros(4), (1e-5, 0.1, 0.5, 1.0))
    values, _ = kernels.mel(samples, torch.ones(256), 100, bank)
    touched = torch.arange(values.shape[1]).mul(100).sub(1500).abs() <= 128
    assert values[:, touched & (torch.arange(values.shape[1]) * 100 + 128 > 1500)].isnan().all()
    assert values[:, ~touched].isfinite().all()


def test_several_callers_at_once_and_a_forked_child_get_the_same(kernels: Kernels) -> None:
    weight, x = kernels.in_order(torch.randn(500, 600)), torch.randn(4, 600)
    expected = kernels.linear(x, weight, None, 500)

    def same() -> bool:
        return all(torch.equal(kernels.linear(x, weight, None, 500), expected) for _ in range(300))

    with ThreadPoolExecutor(4) as callers:
        assert all(call.result() for call in [callers.submit(same) for _ in range(4)])
    # Helpers go to sleep when nothing has been asked of them for a while, and a child has none.
    time.sleep(0.01)
    assert same()
    child = os.fork()
    if child == 0:
        os._exit(0 if same() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_what_does_not_fit_is_refused(kernels: Kernels) -> None:
    with pytest.raises(ValueError, match="5 inputs for weights of 6"):
        kernels.linear(torch.zeros(1, 5), kernels.in_order(torch.zeros(4, 6)), None, 4)
    keys, values = torch.zeros(2, 2, 9, 8), torch.zeros(2, 2, 9, 8)
    for batch, position in ((2, 9), (3, 0)):
        with pytest.raises(ValueError, match="for a cache of"):
            kernels.attend(torch.zeros(batch, 1, 48), keys, values, position, None, (), 1e-6)


def test_several_positions_at_once_go_the_plain_way(kernels: Kernels) -> None:
    layer = Attention(BlockConfig.seed(layers=1, width=16, heads=2, dropout=0.0)).eval()
    x = torch.randn(2, 7, 16)
    with torch.inference_mode():
        expected = layer(x, 0, None, None)
        with kernels_in(layer, kernels):
            cache = LayerCache(torch.zeros(2, 2, 9, 8), torch.zeros(2, 2, 9, 8))
            assert torch.equal(layer(x, 0, None, cache), expected)


def test_none_are_found_where_they_are_not_wanted(kernels: Kernels) -> None:
    with kernels_if(True):
        assert find_kernels() is kernels
    with kernels_if(False):
        assert find_kernels() is None
        with kernels_if(True):
            assert find_kernels() is None, "an outer block decides"
    assert find_kernels() is kernels


@pytest.mark.parametrize("rows", [1, 3, 13])
def test_a_product_is_added_to_what_is_given(kernels: Kernels, rows: int) -> None:
    x, weight, bias, onto = (torch.randn(size) for size in ((rows, 36), (50, 36), (50,), (rows, 50)))
    ordered = kernels.in_order(weight)
    alone = kernels.linear(x, ordered, bias, 50)
    assert torch.equal(kernels.linear(x, ordered, bias, 50, onto=onto), onto + alone)
    turned = onto.T.contiguous().T  # lies the other way round in memory
    assert torch.equal(kernels.linear(x, ordered, bias, 50, onto=turned), onto + alone)


def test_packed_layers_read_rounded_weights_only_where_that_is_allowed(kernels: Kernels) -> None:
    layer, x = Linear(64, 32), torch.randn(1, 64)
    with torch.inference_mode():
        exact = layer(x)
        with packed(layer, 1, kernels):
            assert torch.equal(layer(x), exact)
        with packed(layer, 1, kernels, rounded=True):
            rounded = layer(x)
    assert torch.allclose(rounded, exact, atol=0.02)
    assert not torch.equal(rounded, exact)
