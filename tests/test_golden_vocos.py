"""The published Vocos' weights make its sound, and `melgpt import` reads its file."""

from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import melgpt
from melgpt import checkpoint
from melgpt.audio.mel import mel_filterbank
from melgpt.errors import UserError
from melgpt.pretrained import Asked, convert
from melgpt.pretrained.vocos import config_of_original, from_original
from melgpt.types import MelScale
from melgpt.vocoders.istft import ISTFTVocoder

CLOSE = {"atol": 1e-4, "rtol": 0}
BANK = "feature_extractor.mel_spec.mel_scale.fb"


@pytest.fixture(scope="module")
def cases(golden: Path) -> list[dict[str, Any]]:
    return torch.load(golden / "vocos.pt", weights_only=True)["cases"]


@pytest.fixture(params=range(3))
def case(cases: list[dict[str, Any]], request: pytest.FixtureRequest) -> dict[str, Any]:
    return cases[request.param]


def _published(cases: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A file as it is published: 100 bands, with the buffers of its features."""
    return {**cases[2]["checkpoint"], BANK: mel_filterbank(MelScale.preset("vocos")).T}


def test_its_weights_make_its_sound(case: dict[str, Any]) -> None:
    config = config_of_original(case["checkpoint"]).changed(padding=case["config"]["padding"])
    vocoder = ISTFTVocoder(config).eval()
    vocoder.load_state_dict(from_original(case["checkpoint"]))
    features, told = case["inputs"]["features"], case["outputs"]
    with torch.no_grad():
        latent = vocoder.backbone(features)
        samples = vocoder.head(latent, features, torch.ones_like(features, dtype=torch.bool))
    assert torch.allclose(latent, told["backbone"], **CLOSE)
    # Theirs ends with the last frame's centre, ours with its hop.
    assert samples.shape[1] == features.shape[-1] * config.mel.hop
    assert torch.allclose(samples[:, : told["audio"].shape[1]], told["audio"], **CLOSE)


def test_its_features_are_a_mel_scale(case: dict[str, Any]) -> None:
    vocoder = ISTFTVocoder(config_of_original(case["checkpoint"]))
    scale = vocoder.scale
    logs = torch.tensor([1e-7, 1e-3, 1.0, 50.0]).log()
    values = (logs - scale.low) / (scale.high - scale.low)
    assert torch.allclose(vocoder.log_bands(values), logs, atol=1e-4)


def test_sizes_are_read_from_the_file(case: dict[str, Any]) -> None:
    config, told = config_of_original(case["checkpoint"]), case["config"]
    assert (config.width, config.hidden) == (told["dim"], told["intermediate_dim"])
    assert (config.layers, config.mel.n_mels, config.mel.hop) == (
        told["num_layers"],
        told["n_mels"],
        told["hop"],
    )


def test_a_published_file_is_imported(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    torch.save(_published(cases), tmp_path / "pytorch_model.bin")
    done = melgpt("import", tmp_path / "pytorch_model.bin", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert "vocos" in done.stderr
    assert BANK in done.stderr
    vocoder = checkpoint.load(tmp_path / "model/vocoder.safetensors", "vocoder")
    assert vocoder.scale == MelScale.preset("vocos")
    assert torch.equal(vocoder.head.out.weight, cases[2]["checkpoint"]["head.out.weight"])


def test_another_mel_than_the_files_own_is_refused(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    torch.save(_published(cases), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="filters in the file"):
        convert(tmp_path / "pytorch_model.bin", asked=Asked(scale=MelScale.preset("hifigan")))
