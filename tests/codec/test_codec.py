"""The codec as a whole: sizes, lengths, gradients."""

import pytest
import torch
from torch import nn

from melgpt.codec.codec import Codec, CodecConfig
from melgpt.codec.shape import NetworkConfig
from melgpt.errors import UserError
from melgpt.types import MelScale

SMALL = {"channels": 4, "multipliers": [1, 2], "residual_blocks": 1, "attention_levels": [1], "latent": 6}
SHAPES = {
    "plain": {"strides": [[2, 2]]},
    "strided first layer": {"strides": [[2, 2]], "stem_stride": [2, 4]},
    "unequal strides": {"strides": [[4, 1]], "stem_stride": [1, 2]},
    "odd strides": {"strides": [[1, 3]], "stem_stride": [5, 3]},
    "no attention": {"strides": [[2, 4]], "attention_levels": [], "middle_attention": False},
}


def made(quantizer: str = "fsq", n_mels: int = 20, **network: object) -> Codec:
    sizes = {"fsq": {"levels": [4, 3]}, "vq": {"codes": 9, "dim": 5}, "ema": {"codes": 9, "dim": 5}}
    config = CodecConfig.parse(
        {
            "mel": MelScale(n_mels=n_mels).plain(),
            "network": {**SMALL, **network},
            "quantizer": {"kind": quantizer, **sizes[quantizer]},
        }
    )
    return Codec(config).eval()


@pytest.fixture(params=SHAPES)
def codec(request: pytest.FixtureRequest) -> Codec:
    return made(**SHAPES[request.param])


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_seeds_full_size_has_the_originals_number_of_parameters() -> None:
    with torch.device("meta"):
        codec = Codec(CodecConfig())
    assert parameters(codec) == 71_907_713
    assert parameters(codec.encoder) == 29_295_872
    assert parameters(codec.decoder) == 42_447_489
    assert parameters(codec.quantizer) == 128 * 256
    assert (codec.config.rows, codec.config.columns(848)) == (5, 53)


def test_a_grid_cell_stands_for_one_token_size(codec: Codec) -> None:
    bands, frames = codec.config.network.token_size
    z = codec.latent(torch.randn(2, 1, 20, 4 * frames))
    assert z.shape == (2, codec.quantizer.dim, 20 // bands, 4)
    assert codec.decode(z).shape == (2, 1, 20, 4 * frames)


@pytest.mark.parametrize("frames", [1, 7, 12, 29])
def test_any_length_goes_through_the_codes_and_back(codec: Codec, frames: int) -> None:
    mel = torch.rand(2, 20, frames)
    codes = codec.tokenize(mel)
    assert codes.shape == (2, codec.config.rows, codec.config.columns(frames))
    assert codes.dtype == torch.int64
    restored = codec.detokenize(codes)
    assert restored.shape == (2, 20, codes.shape[-1] * codec.config.network.token_size[1])
    assert restored.shape[-1] >= frames
    assert 0 <= restored.min() <= restored.max() <= 1


def test_a_short_mel_is_continued_with_silence() -> None:
    codec = made(strides=[[2, 4]])
    mel = torch.rand(1, 20, 6)
    silence = torch.zeros(1, 20, 2)
    assert torch.equal(codec.tokenize(mel), codec.tokenize(torch.cat([mel, silence], -1)))


def test_networks_work_in_minus_one_to_one_and_tokens_in_zero_to_one() -> None:
    codec = made(strides=[[2, 2]])
    mel = torch.rand(1, 20, 8)
    result = codec.encode(mel[:, None] * 2 - 1)
    assert torch.equal(codec.tokenize(mel), result.codes)
    values = codec.decode(codec.quantizer.lookup(result.codes))[:, 0]
    assert torch.equal(codec.detokenize(result.codes), ((values + 1) / 2).clamp(0, 1))


@pytest.mark.parametrize("quantizer", ["fsq", "vq"])
def test_gradients_reach_every_parameter(quantizer: str) -> None:
    codec = made(quantizer, strides=[[2, 2]], stem_stride=[1, 2]).train()
    values = torch.rand(3, 1, 20, 24) * 2 - 1
    result = codec.encode(values)
    ((codec.decode(result.z) - values).abs().mean() + result.loss).backward()
    still = [name for name, p in codec.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A constant added to every key changes no attention weight.
    assert all(name.endswith("key.bias") for name in still), still


def test_clips_of_a_batch_do_not_touch_each_other(codec: Codec) -> None:
    mel = torch.rand(3, 20, 12)
    together, alone = codec.latent(mel[:, None]), codec.latent(mel[1:2, None])
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_thirty_two_groups_normalise_where_the_width_allows_it() -> None:
    groups = {m.num_groups for m in made(channels=64, strides=[[2, 2]]).modules() if hasattr(m, "num_groups")}
    assert groups == {32}
    narrow = made(channels=32, multipliers=[1, 1], strides=[[2, 2]])
    assert {m.num_groups for m in narrow.modules() if hasattr(m, "num_groups")} == {16}
    single = made(channels=32, multipliers=[1, 1], strides=[[2, 2]], narrowest_group=1)
    assert {m.num_groups for m in single.modules() if hasattr(m, "num_groups")} == {32}


def test_bands_that_do_not_divide_into_tokens_are_refused_with_both_numbers() -> None:
    with pytest.raises(UserError, match="20 mel bands do not divide into tokens of 8 bands: change network"):
        made(strides=[[8, 2]])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"strides": [[2, 2], [2, 2]]}, "2 levels need 1 strides, not 2"),
        ({"attention_levels": [2]}, r"attention_levels must lie in 0\.\.1"),
        ({"multipliers": [], "strides": []}, "at least one level"),
        ({"strides": [[0, 2]]}, r"option strides\.0\.0"),
        ({"stem_stride": [1, 0]}, r"option stem_stride\.1"),
        ({"channels": 0}, "option channels"),
        ({"latent": 0}, "option latent"),
        ({"dropout": 1.0}, "option dropout"),
    ],
)
def test_impossible_networks_are_refused_in_clear_words(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        NetworkConfig.parse({**SMALL, "strides": [[2, 2]], **wrong})
