"""The kernels for few rows give what F.linear gives, and leave no trace."""

import pytest
import torch
from torch import nn

from melgpt.nn import linear
from melgpt.nn.linear import Linear, packed


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 8, 33])
def test_packed_products_are_those_of_the_plain_layer(
    rows: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "ONE_ROW_BYTES", 0)
    layer = Linear(96, 160, bias=bias)
    for count in (rows, rows + 5):
        x = torch.randn(count, 1, 96)
        with torch.inference_mode():
            plain = layer(x)
            with packed(layer, rows):
                fast = layer(x)
        assert fast.shape == plain.shape
        assert torch.allclose(fast, plain, atol=1e-5)


def test_a_layer_is_packed_until_the_end_of_the_block_even_after_an_error() -> None:
    model = nn.Sequential(Linear(8, 8), nn.GELU(), Linear(8, 4))
    names = list(model.state_dict())

    def stopped() -> None:
        with packed(model, 2):
            assert model[0].product is not None
            assert list(model.state_dict()) == names
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stopped()
    assert model[0].product is None
    assert model[2].product is None


def test_weights_that_change_afterwards_count() -> None:
    layer = Linear(8, 4)
    with torch.inference_mode(), packed(layer, 4):
        layer(torch.randn(4, 8))
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
    with torch.inference_mode(), packed(layer, 4):
        assert not layer(torch.randn(4, 8)).any()


def test_without_the_kernels_the_plain_layer_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    layer, x = Linear(8, 4), torch.randn(3, 8)
    with torch.inference_mode(), packed(layer, 3):
        assert layer.product is None
        assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))
