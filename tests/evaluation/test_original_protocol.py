"""The originals' measures, from the features that they name; a foreign network is refused."""

import numpy as np
import pytest
import torch

from melgpt.errors import UserError
from melgpt.evaluation import original_protocol
from melgpt.evaluation.class_scores import paired_divergence
from melgpt.evaluation.distances import frechet_distance
from melgpt.evaluation.listener_cnn import ListenerCNN, ListenerCNNConfig
from melgpt.evaluation.melception import Melception, MelceptionConfig
from melgpt.types import MelScale


def features(seed: int, count: int) -> original_protocol.Features:
    random = np.random.default_rng(seed)
    widths = {"2048": 16, "logits": 5, "logits_unbiased": 5}
    return {name: random.normal(size=(count, width)) for name, width in widths.items()}


def test_each_measure_looks_at_the_features_that_the_originals_did() -> None:
    made, real = features(0, 12), features(1, 4)
    labels, real_labels = np.repeat([0, 1], 6), np.array([0, 0, 1, 1])
    found = original_protocol.measures(made, real, labels, real_labels)
    assert found["melception_frechet"]["value"] == frechet_distance(made["2048"], real["2048"])
    partners = np.array([0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3])
    assert found["melception_kl"]["value"] == paired_divergence(made["logits"], real["logits"][partners])
    assert found["melception_kid"]["low"] < found["melception_kid"]["value"]
    assert "melception_inception_score" in found
    few = original_protocol.measures(features(0, 9), real, labels[:9], real_labels)
    assert "melception_inception_score" not in few, "ten splits need ten clips"


def test_mels_are_cut_to_what_the_originals_saw() -> None:
    torch.manual_seed(0)
    network = Melception(MelceptionConfig(mel=MelScale(n_mels=24), classes=3)).eval()
    mels = torch.rand(1, 24, 860)
    found = original_protocol.features(network, mels)
    with torch.inference_mode():
        expected = network.features(mels[..., :848], ("2048",))["2048"].double().numpy()
    assert np.allclose(found["2048"], expected, atol=1e-5)


def test_a_foreign_network_or_scale_is_refused() -> None:
    with pytest.raises(UserError, match="wants a Melception, not a listener_cnn"):
        original_protocol.check(ListenerCNN(ListenerCNNConfig()), MelScale())
    network = Melception(MelceptionConfig(mel=MelScale(n_mels=24), classes=3))
    with pytest.raises(UserError, match="Melception reads the mel scale"):
        original_protocol.check(network, MelScale())
