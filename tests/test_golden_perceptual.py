"""The perceptual loss and the codec's loss around it are SpecVQGAN's: values, statistics and gradients."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt import checkpoint
from melgpt.codec.discriminator import Discriminator
from melgpt.losses.adversarial import discriminator_loss
from melgpt.losses.codec import CodecLossWeights, codec_loss
from melgpt.losses.perceptual import Perceptual
from melgpt.pretrained.band_statistics import BandStatistics
from melgpt.pretrained.codec import discriminator_config_of_original, discriminator_from_original
from melgpt.pretrained.perceptual import (
    config_of_classifier,
    config_of_original,
    from_classifier,
    from_original,
)
from recipe_weights import materialise

SCALAR = {"rtol": 1e-5, "atol": 1e-6}
GRADIENT = {"rtol": 1e-3, "atol": 1e-6}
PHASES = [(start, bn) for start in ("before_disc_start", "at_disc_start") for bn in ("eval", "train_disc_bn")]


@pytest.fixture(scope="module")
def content(golden: Path) -> dict:
    return torch.load(golden / "specvqgan_perceptual_loss.pt", weights_only=True)


@pytest.fixture(scope="module")
def state(golden: Path, content: dict) -> dict[str, Tensor]:
    """The loss's part of a codec checkpoint, statistics included."""
    state = materialise(golden, content["checkpoint"]["perceptual_by_recipe"])
    for name in ("shift", "scale"):
        state[f"perceptual_loss.scaling_layer.{name}"] = content["outputs"][name]
    return {f"loss.{key}": tensor for key, tensor in state.items()}


@pytest.fixture(scope="module")
def network(state: dict[str, Tensor]) -> Perceptual:
    network = Perceptual(config_of_original(state))
    network.load_state_dict(from_original(state), strict=True)
    return network.eval().requires_grad_(False)


def decoded(inputs: dict, weight: Tensor) -> Tensor:
    """The toy decoder's last layer on its stack of channels."""
    x = inputs["x"]
    stack = torch.cat([x, x.flip(2), x.roll(3, 3), inputs["feat_channel_3"]], 1)
    return F.conv2d(stack, weight, inputs["dec_bias"], padding=1)


@torch.inference_mode()
def test_the_distance_equals_the_originals(content: dict, network: Perceptual) -> None:
    x, expected = content["inputs"]["x"], content["outputs"]
    reconstruction = decoded(content["inputs"], content["inputs"]["dec_weight"])
    assert torch.allclose(reconstruction, expected["reconstruction_first"], atol=1e-4, rtol=1e-4)
    assert network(x, reconstruction)[0] == pytest.approx(expected["lpaps_value"].item(), rel=1e-5)
    stages = torch.cat(network.by_stage(x, reconstruction))
    assert torch.allclose(stages, torch.tensor(expected["lpaps_layer_values"]), **SCALAR)
    normalised = network.normalise(x)
    assert [float(normalised.mean()), float(normalised.std())] == pytest.approx(
        expected["scaled_input_stats"], rel=1e-4
    )
    for features, (mean, std, shape) in zip(
        network.features(x), expected["lpaps_feature_stats_input"], strict=True
    ):
        assert list(features.shape) == shape
        assert [float(features.mean()), float(features.std())] == pytest.approx([mean, std], rel=1e-4)


@pytest.fixture
def discriminator(content: dict) -> Discriminator:
    state = content["checkpoint"]["discriminator_state_dict"]
    network = Discriminator(discriminator_config_of_original(state))
    network.load_state_dict(discriminator_from_original(state), strict=True)
    return network


@pytest.mark.parametrize(("start", "bn"), PHASES)
def test_the_codecs_loss_equals_the_originals(
    content: dict, network: Perceptual, discriminator: Discriminator, start: str, bn: str
) -> None:
    config, inputs = content["config"], content["inputs"]
    expected = content["outputs"][f"{start}/optimizer_0/{bn}"]
    weights = CodecLossWeights(
        quantizer=config["codebook_weight"],
        perceptual=config["perceptual_weight"],
        adversarial=config["disc_weight"],
        adversarial_least=config["min_adapt_weight"],
        adversarial_limit=config["max_adapt_weight"],
    )
    discriminator.train(bn != "eval")
    last_layer = inputs["dec_weight"].clone().requires_grad_()
    quantizer_loss = torch.tensor(inputs["codebook_loss"], requires_grad=True)
    reconstruction = decoded(inputs, last_layer)
    loss = codec_loss(
        inputs["x"],
        reconstruction,
        quantizer_loss,
        last_layer=last_layer,
        weights=weights,
        perceptual_distance=network(inputs["x"], reconstruction),
        fake_logits=discriminator(reconstruction),
        adversarial_factor=float(expected["global_step"] >= config["disc_start"]),
    )
    logs = expected["logs"]
    for ours, name in (
        (loss.total, "total_loss"),
        (loss.quantizer, "quant_loss"),
        (loss.fidelity, "nll_loss"),
        (loss.perceptual, "p_loss"),
        (loss.adversarial, "g_loss"),
    ):
        assert ours.item() == pytest.approx(logs[f"train/{name}"], rel=1e-5, abs=1e-6), name
    assert float(loss.adversarial_weight) == pytest.approx(logs["train/d_weight"], rel=1e-4)
    loss.total.backward()
    assert torch.allclose(last_layer.grad, expected["grad_last_layer"], **GRADIENT)
    assert float(quantizer_loss.grad) == pytest.approx(expected["grad_codebook_loss"], rel=1e-3)


@pytest.mark.parametrize(("start", "bn"), PHASES)
def test_the_discriminators_loss_equals_the_originals(
    content: dict, discriminator: Discriminator, start: str, bn: str
) -> None:
    inputs, expected = content["inputs"], content["outputs"][f"{start}/optimizer_1/{bn}"]
    factor = float(expected["global_step"] >= content["config"]["disc_start"])
    discriminator.train(bn != "eval")
    reconstruction = decoded(inputs, inputs["dec_weight"])
    real, fake = discriminator(inputs["x"]), discriminator(reconstruction)
    loss = factor * discriminator_loss(real, fake)
    loss.backward()
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-5, abs=1e-6)
    assert real.mean().item() == pytest.approx(expected["logs"]["train/logits_real"], rel=1e-5, abs=1e-6)
    assert fake.mean().item() == pytest.approx(expected["logs"]["train/logits_fake"], rel=1e-5, abs=1e-6)
    norm = float(discriminator.layers[0].weight.grad.norm())
    assert norm == pytest.approx(expected["grad_disc_first_norm"], rel=1e-3, abs=1e-6)


@pytest.fixture(scope="module")
def full_size(golden: Path) -> dict[str, dict[str, Tensor]]:
    """Zeros in the shapes of the originals' files."""
    tables = json.loads((golden / "keys_full_size.json").read_text(encoding="utf-8"))
    names = ("specvqgan_vas_codebook", "vggishish16")
    return {
        name: {key: torch.empty(shape, device="meta") for key, (shape, _) in tables[name]["keys"].items()}
        for name in names
    }


def test_full_size_files_fit_the_default_network(full_size: dict[str, dict[str, Tensor]]) -> None:
    codec, classifier = full_size["specvqgan_vas_codebook"], full_size["vggishish16"]
    statistics = BandStatistics.identity()
    for config, state in (
        (config_of_original(codec), from_original(codec)),
        (config_of_classifier(classifier), from_classifier(classifier, statistics=statistics)),
    ):
        assert config == Perceptual.Config()
        with torch.device("meta"):
            network = Perceptual(config)
        network.load_state_dict({k: t.to("meta") for k, t in state.items()}, strict=True, assign=True)


def test_it_becomes_a_model_file(network: Perceptual, tmp_path: Path) -> None:
    checkpoint.save(network, tmp_path / "perceptual.safetensors")
    loaded = checkpoint.load(tmp_path / "perceptual.safetensors", "perceptual")
    one, other = torch.randn(2, 1, 80, 32), torch.randn(2, 1, 80, 32)
    assert torch.equal(loaded(one, other), network(one, other))
