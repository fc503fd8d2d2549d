"""Blocks of the VQ-GAN."""

import pytest
import torch
from torch import nn

from melgpt.nn.convolution import Downsample, ResidualBlock, SelfAttention, Upsample, fold_out, stem


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1), (1, 4), (5, 6)])
def test_downsampling_and_the_first_layer_divide_and_upsampling_multiplies(stride: tuple[int, int]) -> None:
    f, t = stride
    x = torch.randn(1, 2, 2 * f, 3 * t)
    small = Downsample(2, stride)(x)
    assert small.shape == (1, 2, 2, 3)
    assert Upsample(2, stride)(small).shape == x.shape
    assert stem(2, stride)(x[:, :1]).shape == (1, 2, 2, 3)


def test_a_stride_of_two_pads_the_end_only() -> None:
    down = Downsample(1, (2, 2))
    nn.init.ones_(down.conv.weight)
    nn.init.zeros_(down.conv.bias)
    sums = down(torch.ones(1, 1, 4, 4))[0, 0]
    assert sums.tolist() == [[9, 6], [6, 4]]


def test_folding_out_puts_channels_side_by_side() -> None:
    x = torch.arange(12.0).view(1, 6, 1, 2)
    folded = fold_out(x, (2, 3))
    assert folded.shape == (1, 1, 2, 6)
    assert folded[0, 0].tolist() == [[0, 2, 4, 1, 3, 5], [6, 8, 10, 7, 9, 11]]
    assert fold_out(x, (1, 1)) is x


def test_attention_equals_the_written_out_formula() -> None:
    attention = SelfAttention(4)
    x = torch.randn(2, 4, 3, 5)
    h = attention.norm(x)
    q, k, v = (f(h).flatten(2) for f in (attention.query, attention.key, attention.value))  # [B, C, F * N]
    weights = (torch.einsum("bci,bcj->bij", q, k) * 4**-0.5).softmax(-1)
    attended = torch.einsum("bij,bcj->bci", weights, v).view_as(x)
    assert torch.allclose(attention(x), x + attention.project(attended), atol=1e-5)


def test_a_residual_block_starts_from_its_input() -> None:
    x = torch.randn(1, 4, 3, 3)
    same, wider = ResidualBlock(4, 4), ResidualBlock(4, 6)
    for block in (same, wider):
        nn.init.zeros_(block.conv2.weight)
        nn.init.zeros_(block.conv2.bias)
    assert torch.equal(same(x), x)
    assert torch.equal(wider(x), wider.shortcut(x))


def test_dropout_acts_in_training_alone() -> None:
    block, x = ResidualBlock(4, 4, dropout=0.5), torch.randn(1, 4, 6, 6)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))
