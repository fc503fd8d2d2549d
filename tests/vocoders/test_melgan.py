"""The generator is the originals': their file in, their sound out."""

from pathlib import Path

import pytest
import torch

from melgpt.errors import UserError
from melgpt.pretrained.melgan import config_of_original, from_original
from melgpt.types import MelScale
from melgpt.vocoders.melgan import MelGAN, MelGANConfig, ratios_of


@pytest.fixture(scope="module")
def stored(golden: Path) -> dict:
    return torch.load(golden / "melgan_generator.pt", weights_only=True)


def test_the_originals_weights_make_the_originals_sound(stored: dict) -> None:
    state = stored["checkpoint"]
    vocoder = MelGAN(config_of_original(state)).eval()
    vocoder.load_state_dict(from_original(state))
    with torch.no_grad():
        samples = vocoder(stored["inputs"]["spec"])
    assert torch.allclose(samples, stored["outputs"]["wave"].squeeze(1), atol=1e-4)


def test_sizes_are_read_from_the_file(stored: dict) -> None:
    told = stored["config"]
    config = config_of_original(stored["checkpoint"])
    assert config.mel.n_mels == told["n_mel_channels"]
    assert config.ngf == told["ngf"]
    assert list(config.ratios) == told["ratios"]
    assert config.residual_blocks == told["n_residual_layers"]


def test_a_foreign_file_is_refused() -> None:
    with pytest.raises(UserError, match="encoder.weight"):
        from_original({"encoder.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="upsampling"):
        from_original({"model.1.bias": torch.zeros(1), "model.3.bias": torch.zeros(1)})


@pytest.mark.parametrize(
    ("hop", "ratios"), [(256, (8, 8, 2, 2)), (512, (8, 8, 4, 2)), (300, (6, 5, 5, 2)), (320, (8, 8, 5))]
)
def test_ratios_follow_the_hop(hop: int, ratios: tuple[int, ...]) -> None:
    assert ratios_of(hop) == ratios


def test_odd_ratios_keep_the_length() -> None:
    config = MelGANConfig(mel=MelScale(hop=150), ngf=2, ratios=(5, 5, 3, 2), residual_blocks=2)
    assert MelGAN(config)(torch.rand(1, 80, 7)).shape == (1, 7 * 150)


def test_ratios_that_do_not_make_the_hop_are_refused() -> None:
    with pytest.raises(UserError, match="256"):
        MelGANConfig.parse({"ratios": [8, 8]})
