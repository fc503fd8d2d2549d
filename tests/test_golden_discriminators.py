"""Discriminators of every depth, and the one in time alone, are SpecVQGAN's, with their losses."""

from pathlib import Path

import pytest
import torch

from melgpt.codec.discriminator import Discriminator
from melgpt.losses.adversarial import discriminator_loss
from melgpt.pretrained.codec import discriminator_config_of_original, discriminator_from_original

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
DEPTHS = ["n2", "n3", "n4"]


@pytest.fixture(scope="module")
def content(golden: Path) -> dict:
    return torch.load(golden / "specvqgan_discriminators.pt", weights_only=True)


def converted(content: dict, name: str) -> Discriminator:
    state = content["checkpoint"][name]
    network = Discriminator(discriminator_config_of_original(state), bands=content["inputs"]["x"].shape[2])
    network.load_state_dict(discriminator_from_original(state), strict=True)
    return network


@pytest.mark.parametrize("name", DEPTHS)
@torch.inference_mode()
def test_logits_and_losses_equal_the_originals(content: dict, name: str) -> None:
    expected, x = content["outputs"][name], content["inputs"]["x"]
    network = converted(content, name).eval()
    assert (network.config.layers, network.config.channels) == (expected["n_layers"], expected["ndf"])
    logits = network(x)
    assert torch.allclose(logits, expected["eval_logits"], **CLOSE)
    # The first sample stands for a real one, the second for a fake one.
    for kind, loss in expected["logits_real_fake_losses"].items():
        found = discriminator_loss(logits[:1], logits[1:2], kind)
        assert float(found) == pytest.approx(loss, rel=1e-5, abs=1e-6), kind


@pytest.mark.parametrize("name", DEPTHS)
@torch.inference_mode()
def test_batch_statistics_follow_as_the_originals(content: dict, name: str) -> None:
    expected, x = content["outputs"][name], content["inputs"]["x"]
    network = converted(content, name).train()
    assert torch.allclose(network(x), expected["train_logits"], **CLOSE)
    state = network.state_dict()
    for statistic in ("running_mean", "running_var"):
        for key, value in expected[f"{statistic}_after"].items():
            assert torch.allclose(state[key.replace("main.", "layers.")], value, atol=1e-6, rtol=1e-5), key


@torch.inference_mode()
def test_the_one_in_time_alone_equals_the_originals(content: dict) -> None:
    network = converted(content, "1d_specs").eval()
    assert network.config.dimensions == 1
    logits = network(content["inputs"]["xs"])
    assert torch.allclose(logits, content["outputs"]["1d_specs"]["eval_logits"], **CLOSE)


@torch.inference_mode()
def test_weights_start_as_the_originals(content: dict) -> None:
    small = converted(content, "n3")
    large = Discriminator(small.config.changed(channels=64)).state_dict()
    sizes = {key: tensor.numel() for key, tensor in small.state_dict().items()}
    for key, (mean, std) in content["outputs"]["weights_init_stats"].items():
        ours, key = large[key.replace("main.", "layers.")], key.replace("main.", "layers.")
        if key.endswith(".weight"):
            noise = 5 * 0.02 / sizes[key] ** 0.5
            assert float(ours.mean()) == pytest.approx(mean, abs=noise), key
            assert float(ours.std()) == pytest.approx(std, abs=noise), key
