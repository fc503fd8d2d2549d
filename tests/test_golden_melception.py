"""Melception is the originals', layer for layer: their weights and inputs give their features."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from melgpt import checkpoint
from melgpt.evaluation.melception import Melception
from melgpt.pretrained.band_statistics import BandStatistics
from melgpt.pretrained.melception import config_of_original, from_original
from melgpt.registry import build
from recipe_weights import materialise

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def content(golden: Path) -> dict:
    return torch.load(golden / "melception.pt", weights_only=True)


@pytest.fixture(scope="module")
def state(golden: Path, content: dict) -> dict[str, Tensor]:
    return materialise(golden, content["checkpoint"])


def converted(state: dict[str, Tensor], statistics: BandStatistics) -> Melception:
    network = build("classifier", config_of_original(state))
    network.load_state_dict(from_original(state, statistics=statistics), strict=True)
    return network.eval()


@torch.inference_mode()
def test_features_equal_the_originals(content: dict, state: dict[str, Tensor]) -> None:
    network = converted(state, BandStatistics.identity())
    x, names = content["inputs"]["x"], content["config"]["features_list"]
    assert network.config.classes == content["config"]["num_classes"]
    for mel, expected in (
        (x, content["outputs"]["features"]),
        (x[..., : content["inputs"]["x_short_first_columns"]], content["outputs"]["features_short"]),
    ):
        features = network.features(mel, names)
        assert list(features) == names
        for name in names:
            assert torch.allclose(features[name], expected[name], **CLOSE), name


@torch.inference_mode()
def test_the_network_normalises_with_the_files_statistics(content: dict, state: dict[str, Tensor]) -> None:
    statistics = BandStatistics(torch.linspace(0.2, 0.5, 80), torch.linspace(0.1, 0.2, 80))
    network = converted(state, statistics)
    normalised = content["inputs"]["x"][..., : content["inputs"]["x_short_first_columns"]]
    mel = normalised * statistics.std[:, None] + statistics.mean[:, None]
    expected = content["outputs"]["features_short"]["64"]
    assert torch.allclose(network.features(mel, ["64"])["64"], expected, **CLOSE)


def test_it_becomes_a_model_file(state: dict[str, Tensor], tmp_path: Path) -> None:
    network = converted(state, BandStatistics.identity())
    checkpoint.save(network, tmp_path / "melception.safetensors")
    loaded = checkpoint.load(tmp_path / "melception.safetensors", "classifier")
    assert loaded.config == network.config
    mel = torch.rand(1, 80, 64)
    assert torch.equal(loaded(mel), network(mel))


def test_the_full_size_file_fits(golden: Path) -> None:
    keys = json.loads((golden / "keys_full_size.json").read_text(encoding="utf-8"))["melception"]["keys"]
    state = {key: torch.empty(shape, device="meta") for key, (shape, _) in keys.items()}
    with torch.device("meta"):
        network = build("classifier", config_of_original(state))
    ours = from_original(state, statistics=BandStatistics.identity())
    network.load_state_dict({k: t.to("meta") for k, t in ours.items()}, strict=True, assign=True)
