"""Listeners learn from blurred copies as a class of their own."""

from pathlib import Path

import numpy as np
import pytest

from melgpt import checkpoint
from melgpt.data.store import Store
from melgpt.evaluation.measures import detail
from melgpt.runtime import RuntimeConfig
from melgpt.training.fit_listeners import ListenerTraining
from melgpt.training.listener_batches import Examples, ListenerBatches
from melgpt.training.settings import ClassifierTraining


@pytest.fixture(scope="module")
def store(trained: Path) -> Store:
    return Store.open(trained / "data")


def test_a_share_of_the_clips_is_blurred_and_named_so(store: Store) -> None:
    examples = Examples.of_store(store, "train")
    plain = ClassifierTraining(hidden_bands=0, hidden_frames=0, blurred=0)
    options = {"frames": 64, "epoch": 0, "length": 200}
    sharp = ListenerBatches(examples, plain, **options)
    mixed = ListenerBatches(examples, plain.changed(blurred=0.3), **options)
    blurred = [i for i in range(200) if mixed[i][1] == len(store.labels)]
    assert 40 < len(blurred) < 80
    kept = [i for i in range(200) if i not in blurred]
    assert all(mixed[i][0].equal(sharp[i][0]) and mixed[i][1] == sharp[i][1] for i in kept)
    rough = [[float(detail(each[i][0]).square().mean()) for i in blurred] for each in (sharp, mixed)]
    assert np.mean(rough[1]) < 0.5 * np.mean(rough[0])


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_the_class_is_there_where_it_was_learnt(share: float, store: Store, tmp_path: Path) -> None:
    settings = ClassifierTraining(steps=2, batch=2, validate_every=2, warmup=1, seeds=1, blurred=share)
    files = ListenerTraining(tmp_path, settings, RuntimeConfig(threads=1)).train_all(store)
    for file in files:
        listener = checkpoint.load(file, "classifier")
        assert listener.head.out_features == len(store.labels) + (share > 0)
