"""Names of the originals' classifier and perceptual network become ours; foreign ones are refused."""

import pytest
import torch
from torch import Tensor

from melgpt.errors import UserError
from melgpt.losses.perceptual import Perceptual, PerceptualConfig
from melgpt.pretrained import melception, perceptual
from melgpt.pretrained.band_statistics import BandStatistics
from melgpt.types import MelScale

BANDS = 8
SCALE = MelScale(n_mels=BANDS)
# Two stages of one and two convolutions: a pool lies between two numbers that are three apart.
ROW = {0: (1, 4), 3: (4, 6), 5: (6, 6)}
SLICES = {0: 1, 3: 2, 5: 2}


def vgg_like() -> dict[str, Tensor]:
    """A classifier of 1-2 convolutions."""
    state = {}
    for number, (inputs, outputs) in ROW.items():
        state[f"features.{number}.weight"] = torch.randn(outputs, inputs, 3, 3)
        state[f"features.{number}.bias"] = torch.randn(outputs)
    return {**state, "classifier.0.weight": torch.randn(3, 6), "classifier.0.bias": torch.randn(3)}


def codec_like() -> dict[str, Tensor]:
    """The same network inside a codec's state dict, beside parts of the codec."""
    state = {
        "encoder.conv_in.weight": torch.zeros(1),
        "quantize.embedding.weight": torch.zeros(1),
        "loss.discriminator.main.0.weight": torch.zeros(1),
        "loss.perceptual_loss.scaling_layer.shift": torch.randn(1, 1, BANDS, 1),
        "loss.perceptual_loss.scaling_layer.scale": torch.rand(1, 1, BANDS, 1),
    }
    for key, tensor in vgg_like().items():
        if key.startswith("features."):
            number, name = key.split(".")[1:]
            state[f"loss.perceptual_loss.net.slice{SLICES[int(number)]}.{number}.{name}"] = tensor
    for number, width in enumerate((4, 6)):
        state[f"loss.perceptual_loss.lin{number}.model.1.weight"] = torch.rand(1, width, 1, 1)
    return state


def test_a_perceptual_network_inside_a_codec_finds_its_places() -> None:
    state = codec_like()
    config = perceptual.config_of_original(state, SCALE)
    assert config == PerceptualConfig(mel=SCALE, channels=(4, 6), convolutions=(1, 2))
    network = Perceptual(config)
    network.load_state_dict(perceptual.from_original(state), strict=True)
    assert torch.equal(network.stages[1][2].weight, state["loss.perceptual_loss.net.slice2.5.weight"])
    assert torch.equal(network.weights[1], state["loss.perceptual_loss.lin1.model.1.weight"].flatten())
    x = torch.randn(1, 1, BANDS, 4)
    shift, scale = (
        state[f"loss.perceptual_loss.scaling_layer.{name}"].view(BANDS, 1) for name in ("shift", "scale")
    )
    assert torch.allclose(network.normalise(x), (x - shift) / scale)


def test_a_classifier_of_the_same_layers_counts_each_channel_the_same() -> None:
    state = vgg_like()
    statistics = BandStatistics(torch.rand(BANDS), 0.1 + torch.rand(BANDS))
    network = Perceptual(perceptual.config_of_classifier(state, SCALE))
    network.load_state_dict(perceptual.from_classifier(state, statistics=statistics), strict=True)
    assert torch.equal(network.stages[1][0].weight, state["features.3.weight"])
    assert all((weight == 1).all() for weight in network.weights.parameters())
    mel = torch.rand(1, 1, BANDS, 4)
    expected = (mel - statistics.mean[:, None]) / statistics.std[:, None]
    assert torch.allclose(network.normalise(2 * mel - 1), expected, atol=1e-5)


def test_foreign_perceptual_networks_are_refused() -> None:
    with pytest.raises(UserError, match="holds no perceptual loss"):
        perceptual.from_original({"encoder.conv_in.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="it has no part 'layer.weight'"):
        perceptual.from_original({**codec_like(), "layer.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="it has no part 'net.slice1.x'"):
        perceptual.from_original({**codec_like(), "loss.perceptual_loss.net.slice1.x": torch.zeros(1)})
    statistics = BandStatistics.identity(BANDS)
    with pytest.raises(UserError, match="it has no part 'fc.weight'"):
        perceptual.from_classifier({**vgg_like(), "fc.weight": torch.zeros(1)}, statistics=statistics)
    with pytest.raises(UserError, match="it has no 'features'"):
        perceptual.from_classifier({"classifier.0.bias": torch.zeros(1)}, statistics=statistics)


def test_melceptions_layers_find_their_branches() -> None:
    names = {
        "Conv2d_2b_3x3.bn.weight": "stages.64.2.norm.weight",
        "Mixed_5b.branch1x1.conv.weight": "stages.768.0.branches.0.0.conv.weight",
        "Mixed_5d.branch_pool.conv.weight": "stages.768.2.branches.3.1.conv.weight",
        "Mixed_6a.branch3x3.conv.weight": "stages.768.3.branches.0.0.conv.weight",
        "Mixed_6a.branch3x3dbl_3.conv.weight": "stages.768.3.branches.1.2.conv.weight",
        "Mixed_6e.branch7x7dbl_5.bn.running_mean": "stages.768.7.branches.2.4.norm.running_mean",
        "Mixed_7a.branch7x7x3_4.conv.weight": "stages.2048.0.branches.1.3.conv.weight",
        "Mixed_7c.branch3x3_2b.conv.weight": "stages.2048.2.branches.1.1.branches.1.conv.weight",
        "fc.bias": "head.bias",
    }
    statistics = BandStatistics.identity()
    aux = {"AuxLogits.conv1.bn.weight": torch.zeros(1), "AuxLogits.fc.bias": torch.zeros(1)}
    state = {**{key: torch.zeros(1) for key in names}, **aux}
    assert set(melception.from_original(state, statistics=statistics)) == {*names.values(), "mean", "std"}


@pytest.mark.parametrize("key", ["conv1.weight", "Mixed_9z.branch1x1.conv.weight", "AuxLogits.fc2.bias"])
def test_foreign_classifiers_are_refused(key: str) -> None:
    with pytest.raises(UserError, match=f"it has no part '{key}'"):
        melception.from_original({key: torch.zeros(1)}, statistics=BandStatistics.identity())
    with pytest.raises(UserError, match="it has no layer 'fc'"):
        melception.config_of_original({key: torch.zeros(1)})
