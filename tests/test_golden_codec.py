"""The codec is the originals', layer for layer: their weights and inputs give their outputs."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from melgpt.codec.codec import Codec
from melgpt.codec.discriminator import Discriminator
from melgpt.errors import UserError
from melgpt.gpt.order import flatten
from melgpt.pretrained.codec import (
    config_of_original,
    discriminator_config_of_original,
    discriminator_from_original,
    from_original,
)
from melgpt.quantizers.usage import counts, perplexity
from melgpt.types import MelScale

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
FILES = {
    "litvqvae_eval.pt": ("checkpoint", "state_dict"),
    "specvqgan_vqmodel.pt": ("checkpoint", "state_dict"),
    "specvqgan_net2net_class.pt": ("checkpoint", "state_dict"),
    "lit_mingpt_class.pt": ("checkpoint_codec_plain_state_dict",),
}


def stored(golden: Path, name: str) -> tuple[dict, dict[str, Tensor]]:
    """A golden file and the codec's state dict in it."""
    content = torch.load(golden / name, weights_only=True)
    state = content
    for key in FILES[name]:
        state = state[key]
    return content, state


def converted(state: dict[str, Tensor], bands: int) -> Codec:
    codec = Codec(config_of_original(state, MelScale(n_mels=bands)))
    codec.load_state_dict(from_original(state), strict=True)
    return codec.eval()


@pytest.fixture(scope="module")
def lit(golden: Path) -> tuple[dict, Codec]:
    content, state = stored(golden, "litvqvae_eval.pt")
    return content, converted(state, content["inputs"]["x"].shape[2])


@torch.inference_mode()
def test_latents_and_indices_equal_the_originals(lit: tuple[dict, Codec]) -> None:
    content, codec = lit
    x, expected = content["inputs"]["x"], content["outputs"]
    assert torch.allclose(codec.encoder(x[:1]), expected["encoder_out_first"], **CLOSE)
    assert torch.allclose(codec.latent(x), expected["z_pre_quant"], **CLOSE)
    result = codec.encode(x)
    assert torch.equal(result.codes, expected["indices_grid"])
    assert torch.equal(result.codes.flatten(), expected["indices_flat"])
    assert torch.allclose(result.z, expected["z_quantised"], **CLOSE)


@torch.inference_mode()
def test_loss_and_perplexity_equal_the_originals(lit: tuple[dict, Codec]) -> None:
    content, codec = lit
    result = codec.encode(content["inputs"]["x"])
    assert torch.allclose(result.loss, content["outputs"]["codebook_loss"], rtol=1e-5, atol=1e-6)
    assert torch.allclose(result.metrics["perplexity"], content["outputs"]["perplexity"], rtol=1e-5)


@torch.inference_mode()
def test_reconstructions_equal_the_originals(lit: tuple[dict, Codec]) -> None:
    content, codec = lit
    result = codec.encode(content["inputs"]["x"])
    expected = content["outputs"]["reconstruction"]
    assert torch.allclose(codec.decode(result.z), expected, **CLOSE)
    mel = codec.detokenize(content["outputs"]["indices_grid"])
    assert torch.allclose(mel[:, None], ((expected + 1) / 2).clamp(0, 1), **CLOSE)


@torch.inference_mode()
def test_a_short_batch_equals_the_originals(lit: tuple[dict, Codec]) -> None:
    content, codec = lit
    expected = content["outputs"]
    result = codec.encode(content["inputs"]["x_short"])
    assert torch.equal(result.codes, expected["short_indices_grid"])
    assert torch.allclose(result.loss, expected["short_codebook_loss"], rtol=1e-5, atol=1e-6)
    assert torch.allclose(codec.decode(result.z), expected["short_reconstruction"], **CLOSE)


@torch.inference_mode()
def test_the_discriminator_equals_the_originals(golden: Path) -> None:
    content, state = stored(golden, "litvqvae_eval.pt")
    discriminator = Discriminator(discriminator_config_of_original(state))
    discriminator.load_state_dict(discriminator_from_original(state), strict=True)
    logits = discriminator.eval()(content["inputs"]["x"])
    assert torch.allclose(logits, content["outputs"]["discriminator_logits_eval"], **CLOSE)


@torch.inference_mode()
def test_the_other_naming_is_the_same_codec(golden: Path) -> None:
    content, state = stored(golden, "specvqgan_vqmodel.pt")
    x, expected = content["inputs"]["x"], content["outputs"]
    codec = converted(state, x.shape[2])
    result = codec.encode(x)
    assert torch.allclose(codec.latent(x), expected["z_pre_quant"], **CLOSE)
    assert torch.equal(result.codes, expected["indices_grid"])
    assert torch.allclose(result.z, expected["z_quantised"], **CLOSE)
    assert torch.allclose(result.loss, expected["codebook_loss"], rtol=1e-5, atol=1e-6)
    assert torch.allclose(codec.decode(result.z), expected["reconstruction"], **CLOSE)
    count = counts(result.codes, codec.codebook_size)
    assert torch.allclose(perplexity(count), expected["perplexity"], rtol=1e-5)


@torch.inference_mode()
def test_the_codec_beside_a_transformer_gives_its_tokens(golden: Path) -> None:
    content, state = stored(golden, "lit_mingpt_class.pt")
    x, expected = content["inputs"]["mel"], content["outputs"]["codec"]
    codec = converted(state, x.shape[2])
    assert torch.allclose(codec.latent(x[:1]), expected["z_pre_quant_first"], **CLOSE)
    codes = codec.tokenize((x[:, 0] + 1) / 2)
    assert torch.equal(codes, expected["codes_grid"])
    assert torch.equal(flatten(codes), expected["tokens"])
    assert torch.allclose(codec.quantizer.lookup(codes[:1]), expected["codebook_entries_first"], **CLOSE)
    picture = expected["reconstruction_first_424_columns"]
    restored = codec.decode(codec.quantizer.lookup(codes[:1]))[..., : picture.shape[-1]]
    assert torch.allclose(restored, picture, **CLOSE)


@pytest.mark.parametrize("name", FILES)
def test_sizes_are_read_from_the_weights(golden: Path, name: str) -> None:
    content, state = stored(golden, name)
    network = config_of_original(state, MelScale(n_mels=80)).network
    config = content["config"]
    if name == "specvqgan_net2net_class.pt":
        config = config["vq"]
    config = config.get("codec", config.get("ddconfig", config))
    assert network.channels == config["ch"]
    assert network.multipliers == tuple(config["ch_mult"])
    assert network.residual_blocks == config["num_res_blocks"]
    assert network.latent == config["z_channels"]
    widths = [config["resolution"] // 2**i for i in range(len(config["ch_mult"]))]
    assert network.attention_levels == tuple(
        i for i, w in enumerate(widths) if w in config["attn_resolutions"]
    )


@pytest.mark.parametrize("name", ["karchkha_litvqvae_vas_K128", "specvqgan_vas_codebook"])
def test_full_size_files_fit_the_default_codec(golden: Path, name: str) -> None:
    keys = json.loads((golden / "keys_full_size.json").read_text(encoding="utf-8"))[name]["keys"]
    state = {key: torch.empty(shape, device="meta") for key, (shape, _) in keys.items()}
    config = config_of_original(state)
    assert config.network.changed(narrowest_group=2) == type(config)().network
    with torch.device("meta"):
        codec = Codec(config)
        discriminator = Discriminator(discriminator_config_of_original(state))
    codec.load_state_dict(from_original(state), strict=True, assign=True)
    discriminator.load_state_dict(discriminator_from_original(state), strict=True, assign=True)


def test_foreign_weights_are_refused() -> None:
    with pytest.raises(UserError, match="not a codec of the originals"):
        from_original({"layer.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="it has no part 'layer.weight'"):
        from_original({"encoder.down.0.block.0.norm1.weight": torch.zeros(1), "layer.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="holds no discriminator"):
        discriminator_config_of_original({})
