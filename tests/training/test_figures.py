"""The figures of a run."""

import json
from pathlib import Path

from conftest import MICRO
from melgpt.training.fit import Run
from melgpt.training.recipe import Recipe


def test_stages_that_are_trained_at_the_same_time_keep_each_others_figures(tmp_path: Path) -> None:
    one, other = (Run(tmp_path, Recipe.read(str(MICRO))) for _ in range(2))
    with one._timed("train decoder"):
        one._measure("decoder", {"detail": 0.9})
    with other._timed("train prior"):
        other._measure("prior", {"bits_per_token": 4.0})
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["decoder"] == {"detail": 0.9}
    assert figures["prior"] == {"bits_per_token": 4.0}
    assert figures["seconds"].keys() == {"train decoder", "train prior"}
