"""Transformer blocks against references."""

import pytest
import torch
from torch import nn

from melgpt.errors import UserError
from melgpt.nn.transformer import Attention, Block, BlockConfig, SwiGLU, rotary_angles, rotate

SIZES = {"layers": 1, "width": 16, "heads": 2, "dropout": 0.0}


def test_the_seeds_block_equals_torchs_transformer_layer() -> None:
    block = Block(BlockConfig.seed(**SIZES)).eval()
    torchs = nn.TransformerEncoderLayer(
        16, 2, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    renamed = {
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj.": "attention.project.",
        "linear1.": "feed_forward.inward.",
        "linear2.": "feed_forward.outward.",
        "norm1.": "norm1.",
        "norm2.": "norm2.",
    }
    state = {}
    for key, tensor in block.state_dict().items():
        theirs = next(t for t, ours in renamed.items() if key.startswith(ours))
        state[theirs + key.removeprefix(renamed[theirs])] = tensor
    torchs.load_state_dict(state)
    x = torch.randn(2, 7, 16)
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    assert torch.allclose(block(x), torchs(x, src_mask=mask, is_causal=True), atol=1e-5)


def test_the_default_is_modern_and_the_seeds_is_not() -> None:
    modern, seed = BlockConfig(), BlockConfig.seed()
    assert (modern.norm, modern.positions, modern.feed_forward) == ("rms", "rotary", "swiglu")
    assert modern.qk_norm
    assert not modern.bias
    assert (seed.norm, seed.positions, seed.feed_forward) == ("layer", "learned", "gelu")
    assert seed.bias
    assert not seed.qk_norm


def test_rotation_keeps_lengths_and_depends_on_distance_alone() -> None:
    q, k = torch.randn(8), torch.randn(8)
    cosine, sine = rotary_angles(torch.arange(20), 8)
    turned_q = rotate(q.expand(1, 1, 20, 8), cosine, sine)[0, 0]
    turned_k = rotate(k.expand(1, 1, 20, 8), cosine, sine)[0, 0]
    assert torch.allclose(turned_q.norm(dim=-1), q.norm().expand(20), atol=1e-5)
    products = turned_q @ turned_k.T
    for distance in (0, 3, 11):
        assert products.diagonal(distance).std() < 1e-4
    assert products.diagonal(0)[0] == pytest.approx(float(q @ k), abs=1e-4)
    assert (products.diagonal(3)[0] - products.diagonal(0)[0]).abs() > 1e-3


def test_qk_norm_makes_attention_blind_to_the_length_of_its_inputs() -> None:
    attention = Attention(BlockConfig.parse(SIZES)).eval()
    x, angles = torch.randn(1, 6, 16), rotary_angles(torch.arange(6), 16 // SIZES["heads"])
    with torch.no_grad():
        before = attention(x, 0, angles, None)
        attention.qkv.weight[:32] *= 9
        assert torch.allclose(attention(x, 0, angles, None), before, atol=1e-4)


@pytest.mark.filterwarnings("error")
def test_autocast_takes_no_slow_path_and_stays_close() -> None:
    block, x = Block(BlockConfig.parse(SIZES)).eval(), torch.randn(1, 6, 16)
    with torch.autocast("cpu", torch.bfloat16):
        fast = block(x)
    assert torch.allclose(fast, block(x), atol=0.05)


@pytest.mark.parametrize("width", [64, 256, 384])
def test_swiglu_has_about_eight_times_the_squared_width(width: int) -> None:
    weights = sum(p.numel() for p in SwiGLU(BlockConfig(width=width)).parameters())
    assert 8 * width**2 <= weights < 8 * width**2 + 3 * 32 * width


def test_several_positions_in_the_middle_are_refused() -> None:
    with pytest.raises(ValueError, match="only possible at the start"):
        Attention(BlockConfig.parse(SIZES))(torch.randn(1, 2, 16), 3, None, None)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"width": 10, "heads": 4}, "width 10 must divide into 4 heads"),
        ({"width": 12, "heads": 4}, "heads of an even length"),
        ({"heads": 0}, "option heads"),
        ({"layers": 0}, "option layers"),
        ({"dropout": 1.0}, "option dropout"),
        ({"norm": "batch"}, "option norm"),
    ],
)
def test_impossible_blocks_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        BlockConfig.parse(wrong)
