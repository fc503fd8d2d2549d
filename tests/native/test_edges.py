"""Kernels beside other threads, and for shapes at the edge: nothing foreign is recorded, read or written."""

import threading

import torch

from melgpt.native.calls import Tape
from melgpt.native.kernels import Kernels
from melgpt.nn.convolution import Conv3x3, NormSiLU
from melgpt.nn.dropout import attend, drop


def test_what_another_thread_calls_is_not_recorded(kernels: Kernels) -> None:
    x, theirs = torch.ones(2, 16), torch.full((2, 16), 3.0)
    weight, tape = torch.ones(16), Tape()
    with tape.recording():
        kernels.rms_norm(x, weight, 1e-6)
        own = len(tape._calls)
        other = threading.Thread(target=kernels.rms_norm, args=(theirs, weight, 1e-6))
        other.start()
        other.join()
    assert len(tape._calls) == own == 1


def test_a_query_sees_all_keys_where_there_are_more_of_them(kernels: Kernels) -> None:
    q, k, v = torch.randn(1, 2, 1, 16), torch.randn(1, 2, 5, 16), torch.randn(1, 2, 5, 16)
    exact = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    assert torch.allclose(attend(q, k, v, causal=False, dropout=1e-7), exact, atol=1e-5)


def test_maps_of_nothing_have_no_gradients_and_no_values(kernels: Kernels) -> None:
    layer, nothing = Conv3x3(32, 32), torch.empty(0, 32, 4, 4)
    layer(nothing).sum().backward()
    assert not layer.weight.grad.any()
    assert not layer.bias.grad.any()
    empty = torch.empty(1, 32, 0, 5, memory_format=torch.channels_last)
    assert NormSiLU(32).eval()(empty).shape == empty.shape


def test_nearly_all_can_be_dropped(kernels: Kernels) -> None:
    assert int(drop(torch.ones(1000), 1 - 1e-9).count_nonzero()) < 10
