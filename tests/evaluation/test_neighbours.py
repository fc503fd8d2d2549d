"""Neighbourhoods, on clips on a line whose figures can be worked out by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from melgpt.evaluation.neighbours import distances, neighbourhoods


def measured(made: list[float], real: list[float], k: int) -> dict[str, float]:
    one, other = (np.array(each, dtype=np.float64)[:, None] for each in (made, real))
    return neighbourhoods(distances(one, one), distances(other, other), distances(one, other), k=k)


def test_distances_are_euclidean() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(5, 4)), random.normal(size=(6, 4))
    assert np.allclose(distances(one, other), cdist(one, other))


def test_figures_worked_out_by_hand() -> None:
    # Real ones at 0, 1, 3 reach 1, 1, 2 to their nearest; made ones at 0.5, 10, 11 reach 9.5, 1, 1.
    found = measured([0.5, 10, 11], [0, 1, 3], k=1)
    assert found["precision"] == pytest.approx(1 / 3)
    assert found["recall"] == 1, "all real ones are within 9.5 of the first made one"
    assert found["density"] == pytest.approx(2 / 3), "the first one lies in two neighbourhoods"
    assert found["coverage"] == pytest.approx(2 / 3)


def test_a_single_mode_is_precise_and_covers_little() -> None:
    real = [0.0, 1, 2, 100, 101, 102]
    found = measured([0.9, 1, 1.1, 1.2, 1.3, 1.4], real, k=2)
    assert found["precision"] == 1
    assert found["coverage"] == 0.5
    assert found["recall"] < 0.5


def test_too_few_clips_for_k_neighbours_have_no_figures() -> None:
    assert all(np.isnan(value) for value in measured([0, 1, 2], [0, 1], k=2).values())
