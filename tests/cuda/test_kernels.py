"""The kernels for a GPU give what torch gives."""

import pytest
import torch
from torch.nn import functional as F

from melgpt.native.on_gpu import find_gpu_kernels
from melgpt.nn.transformer import rotary_angles, rotate


@pytest.fixture(scope="module")
def kernels():  # type: ignore[no-untyped-def]
    pytest.importorskip("triton")
    found = find_gpu_kernels()
    assert found is not None
    return found


@pytest.mark.parametrize("rows", [1, 3, 8, 20])
@pytest.mark.parametrize(("inputs", "outputs"), [(48, 20), (1024, 3072), (4096, 1024), (1376, 512)])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_products_take_along_what_lies_around_them(  # type: ignore[no-untyped-def]
    kernels, rows: int, inputs: int, outputs: int, half: bool, biased: bool
) -> None:
    x, scale, shift = (torch.randn(n, inputs, device="cuda") for n in (rows, 1, 1))
    scale, shift = scale[0], shift[0]
    weight, bias = torch.randn(outputs, inputs, device="cuda"), torch.randn(outputs, device="cuda") * biased
    onto = torch.randn(rows, outputs, device="cuda")
    if half:
        weight, bias = weight.bfloat16(), bias.bfloat16()
    given = bias if biased else None

    def exactly(x: torch.Tensor) -> torch.Tensor:
        return F.linear(x.double(), weight.double(), bias.double())

    def near(found: torch.Tensor, expected: torch.Tensor) -> bool:
        return bool((found - expected).norm() < (1e-2 if half else 1e-5) * expected.norm())

    assert near(kernels.linear(x, weight, given), exactly(x))
    assert near(kernels.linear(x, weight, given, onto=onto), exactly(x) + onto)
    curved = kernels.linear(x, weight, given, norm=(scale, shift, 1e-5), activation="gelu")
    assert near(curved, F.gelu(exactly(F.layer_norm(x, (inputs,), scale, shift, 1e-5))))
    gate, value = exactly(F.rms_norm(x, (inputs,), scale, 1e-6)).chunk(2, -1)
    gated = kernels.linear(x, weight, given, norm=(scale, None, 1e-6), activation="swiglu")
    assert near(gated, F.silu(gate) * value)


@pytest.mark.parametrize("position", [0, 1, 127, 128, 299])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("length", [8, 64])
def test_attention_to_the_past_is_torchs(  # type: ignore[no-untyped-def]
    kernels, position: int, kind: torch.dtype, modern: bool, length: int
) -> None:
    clips, heads, room = 3, 4, 304
    keys, values = torch.randn(2, clips, heads, room, length, device="cuda").to(kind)
    keys[:, :, position:], values[:, :, position:] = torch.nan, torch.nan
    qkv = torch.randn(clips, 1, 3 * heads * length, device="cuda")
    angles = rotary_angles(torch.tensor([position], device="cuda"), length) if modern else None
    norms = list(torch.randn(2, length, device="cuda")) if modern else []
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    if modern:
        q, k = (F.rms_norm(x, (length,), norm, 1e-6) for x, norm in zip((q, k), norms, strict=True))
        q, k = rotate(q, *angles), rotate(k, *angles)
    found = kernels.attend(qkv, keys, values, torch.tensor([position], device="cuda"), angles, norms, 1e-6)
    seen = slice(position + 1)
    assert torch.allclose(keys[:, :, position].float(), k[:, :, 0], rtol=1e-2, atol=1e-4)
    assert torch.allclose(values[:, :, position].float(), v[:, :, 0], rtol=1e-2, atol=1e-4)
    expected = F.scaled_dot_product_attention(q, keys[:, :, seen].float(), values[:, :, seen].float())
    assert torch.allclose(found, expected.transpose(1, 2).flatten(2), atol=1e-4)
