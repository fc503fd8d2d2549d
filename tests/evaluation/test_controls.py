"""What must score badly does: class means, noise, silence, as a listener hears that learnt a little."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import melgpt
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.evaluation.judge import Judge, as_many
from melgpt.evaluation.listeners import Listeners
from melgpt.evaluation.references import Rendering, choose_sides, default_split
from melgpt.evaluation.rows import control_rows, real_rows
from melgpt.runtime import RuntimeConfig
from melgpt.training.fit_listeners import ListenerTraining
from melgpt.training.settings import ClassifierTraining

CONTROLS = ("class-mean mel", "noise", "silence")


@pytest.fixture(scope="module")
def rows(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The rows of a table on the training clips, whose halves are the only sets that are large enough."""
    store = Store.open(trained / "data")
    settings = ClassifierTraining(
        steps=60, batch=8, warmup=5, validate_every=60, seeds=1, kinds=("listener_cnn",), blurred=0
    )
    folder = tmp_path_factory.mktemp("listeners")
    runtime = RuntimeConfig(precision="fp32")  # 60 steps leave little room for rounding
    listeners = Listeners.open(ListenerTraining(folder, settings, runtime).train_all(store), store)
    sides = choose_sides(store, "train", 100, 0)
    rendering = Rendering(melgpt.load(trained), store, listeners.frames)
    judge = Judge(
        listeners,
        rendering.stored(sides.real),
        sides.labels,
        classes=store.labels,
        projection=None,
        scale=store.scale,
        resamples=50,
        seed=0,
    )
    table = [*real_rows(rendering, sides), *control_rows(rendering, sides, seed=0)]
    return {row.name: judge.row(row)["measures"] for row in table}


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_lie_far_from_real_clips(rows: dict[str, Any], control: str) -> None:
    floor = rows["real against real"]
    assert rows[control]["kad"]["low"] > floor["kad"]["high"]
    assert rows[control]["frechet"]["value"] > 2 * floor["frechet"]["value"]


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_cover_little_and_vary_little(rows: dict[str, Any], control: str) -> None:
    floor = rows["real against real"]
    assert rows[control]["coverage"]["value"] < 0.6 * floor["coverage"]["value"]
    assert rows[control]["vendi"]["value"] < floor["vendi"]["value"]


def test_silence_has_no_variety_at_all(rows: dict[str, Any]) -> None:
    assert rows["silence"]["vendi"]["value"] == pytest.approx(1)
    assert rows["silence"]["inception_score"]["value"] == pytest.approx(1)


def test_both_sides_have_as_many_clips_of_each_class(trained: Path) -> None:
    store = Store.open(trained / "data")
    for split in ("valid", "train"):
        sides = choose_sides(store, split, 2, 0)
        for rows in (sides.real, sides.drawn):
            assert store.label_ids[rows].tolist() == sides.labels.tolist()
        assert not set(sides.real) & set(sides.drawn)
        assert np.bincount(sides.labels).max() <= 2
        assert set(sides.drawn) <= set(store.rows("train"))
        assert not set(sides.held) & set(store.rows("train"))
    assert default_split(store) == "valid"
    with pytest.raises(UserError, match="has no test clips"):
        choose_sides(store, "test", 2, 0)


def test_sets_are_cut_to_as_many_of_each_class() -> None:
    rows = as_many(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 3]))
    assert rows.tolist() == [0, 1, 3]
