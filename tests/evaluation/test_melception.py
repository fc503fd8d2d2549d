"""The classifier of mels and its features."""

from pathlib import Path

import pytest
import torch

from melgpt import checkpoint
from melgpt.errors import UserError
from melgpt.evaluation.melception import FEATURES, SMALLEST, Melception, MelceptionConfig
from melgpt.types import MelScale

WIDTHS = {"64": 64, "192": 192, "768": 768, "2048": 2048, "logits_unbiased": 7, "logits": 7}


@pytest.fixture(scope="module")
def network() -> Melception:
    torch.manual_seed(0)
    return Melception(MelceptionConfig(mel=MelScale(n_mels=40), classes=7)).eval()


@torch.inference_mode()
def test_every_feature_is_a_row_of_its_width(network: Melception) -> None:
    features = network.features(torch.rand(2, 40, 64))
    assert {name: list(value.shape) for name, value in features.items()} == {
        name: [2, width] for name, width in WIDTHS.items()
    }
    assert tuple(features) == FEATURES


@torch.inference_mode()
def test_the_logits_are_the_unbiased_ones_and_the_bias(network: Melception) -> None:
    mel = torch.rand(2, 40, 64)
    features = network.features(mel, ["logits", "logits_unbiased", "2048"])
    assert torch.allclose(features["logits"], features["logits_unbiased"] + network.head.bias)
    assert torch.allclose(features["logits"], network.head(features["2048"]), atol=1e-5)
    assert torch.equal(network(mel), features["logits"])


def test_layers_behind_the_last_feature_that_is_asked_for_do_not_run(network: Melception) -> None:
    ran: list[str] = []
    hooks = [
        stage.register_forward_hook(lambda *args, name=name: ran.append(name))
        for name, stage in network.stages.items()
    ]
    with torch.inference_mode():
        features = network.features(torch.rand(1, 40, 64), ["192", "64"])
    for hook in hooks:
        hook.remove()
    assert ran == ["64", "192"]
    assert list(features) == ["192", "64"]


@torch.inference_mode()
def test_each_band_is_normalised_by_its_own_statistics(network: Melception) -> None:
    other = Melception(network.config).eval()
    other.load_state_dict(network.state_dict())
    other.mean.copy_(torch.linspace(0.1, 0.6, 40))
    other.std.copy_(torch.linspace(0.1, 0.3, 40))
    normalised = torch.randn(1, 40, 64)
    mel = normalised * other.std[:, None] + other.mean[:, None]
    assert torch.allclose(other(mel), network(normalised), atol=1e-4)


@torch.inference_mode()
def test_the_smallest_mel_still_has_logits() -> None:
    small = Melception(MelceptionConfig(mel=MelScale(n_mels=SMALLEST), classes=2)).eval()
    assert small(torch.rand(1, SMALLEST, SMALLEST)).shape == (1, 2)
    with pytest.raises(UserError, match=f"at least {SMALLEST} frames"):
        small(torch.rand(1, SMALLEST, SMALLEST - 1))


def test_what_it_cannot_read_is_refused(network: Melception) -> None:
    with pytest.raises(UserError, match="has no feature 'logit'; did you mean 'logits'"):
        network.features(torch.rand(1, 40, 64), ["logit"])
    with pytest.raises(UserError, match=r"reads mels \[clips, 40 bands, .* not \[1, 1, 40, 64\]"):
        network(torch.rand(1, 1, 40, 64))
    with pytest.raises(UserError, match=r"not \[1, 80, 64\]"):
        network(torch.rand(1, 80, 64))


def test_it_learns_in_training_mode(network: Melception) -> None:
    learning = Melception(network.config).train()
    torch.nn.functional.cross_entropy(learning(torch.rand(2, 40, 80)), torch.tensor([0, 1])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learning.parameters())


def test_it_comes_back_from_its_file(network: Melception, tmp_path: Path) -> None:
    checkpoint.save(network, tmp_path / "classifier.safetensors")
    loaded = checkpoint.load(tmp_path / "classifier.safetensors", "classifier")
    mel = torch.rand(1, 40, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(mel), network(mel))
