"""The measures of sets of samples are the originals': the same arrays give the same numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from melgpt.evaluation.class_scores import inception_score, paired_divergence
from melgpt.evaluation.distances import frechet_distance, kernel_distance
from melgpt.evaluation.pairing import pair, recording, recording_in_class


@pytest.fixture(scope="module")
def content(golden: Path) -> dict:
    return torch.load(golden / "metrics.pt", weights_only=True)


def arrays(content: dict, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A feature of the generated and of the real samples."""
    return tuple(content["inputs"][side][name].numpy() for side in ("input1", "input2"))


def test_the_frechet_distance_equals_the_originals(content: dict) -> None:
    assert frechet_distance(*arrays(content, "2048")) == pytest.approx(content["outputs"]["fid"], rel=1e-4)


@pytest.mark.parametrize("name", ["kid", "kid_capped"])
def test_the_kernel_distance_equals_the_originals(content: dict, name: str) -> None:
    options = content["config"]["kid"]
    subsets, size = options["subsets"], options["subset_size"]
    if name == "kid_capped":
        # The originals were asked for five subsets larger than either set, which the file does not record.
        subsets, size = 5, 10_000
    found = kernel_distance(
        *arrays(content, "2048"), subsets=subsets, subset_size=size, seed=options["rng_seed"]
    )
    expected = content["outputs"][name]
    assert found.mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4)
    assert found.std == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "splits", "shuffled"),
    [("isc_shuffled_10_splits", 10, True), ("isc_unshuffled_4_splits", 4, False)],
)
def test_the_inception_score_equals_the_originals(
    content: dict, name: str, splits: int, shuffled: bool
) -> None:
    logits, _ = arrays(content, "logits_unbiased")
    seed = content["config"]["isc"]["rng_seed"] if shuffled else None
    found = inception_score(logits, splits=splits, seed=seed)
    expected = content["outputs"][name]
    assert found.mean == pytest.approx(expected["inception_score_mean"], rel=1e-5)
    assert found.std == pytest.approx(expected["inception_score_std"], rel=1e-5)


@pytest.mark.parametrize("corpus", ["vggsound", "vas"])
def test_the_paired_divergence_equals_the_originals(content: dict, corpus: str) -> None:
    files = "file_path_" if corpus == "vggsound" else "file_path_vas"
    key = recording if corpus == "vggsound" else recording_in_class(content["inputs"]["vas_classes"])
    generated, real = (content["inputs"][side][files] for side in ("input1", "input2"))
    examples = content["outputs"]["shared_keys_examples"][corpus]
    assert set(examples) <= {key(path) for path in real}
    rows, of_rows = pair(generated, real, key)
    fake, true = arrays(content, "logits")
    found = paired_divergence(fake[rows], true[of_rows])
    assert found == pytest.approx(content["outputs"][f"kl_{corpus}"], rel=1e-5)
