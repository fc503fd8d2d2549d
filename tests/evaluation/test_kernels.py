"""Measures on a Gaussian kernel, against their definitions and what is known in closed form."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from melgpt.evaluation.kernels import bandwidth, discrepancy, gaussian, vendi
from melgpt.evaluation.neighbours import distances


@pytest.fixture
def sets() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(9, 3)), random.normal(0.5, 1.5, size=(7, 3))


def kernels(one: np.ndarray, other: np.ndarray, width: float) -> list[np.ndarray]:
    return [gaussian(distances(x, y), width) for x, y in ((one, one), (other, other), (one, other))]


def test_the_width_is_the_median_distance_of_pairs(sets: tuple[np.ndarray, np.ndarray]) -> None:
    _, real = sets
    assert bandwidth(distances(real, real)) == pytest.approx(np.median(pdist(real)))
    assert bandwidth(np.zeros((4, 4))) == 1.0, "equal clips leave no width to divide by"


def test_the_discrepancy_is_the_unbiased_estimate(sets: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = sets
    width = 1.3

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.exp(-((x - y) ** 2).sum() / (2 * width**2)))

    within = sum(
        np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in sets
    )
    across = np.mean([kernel(x, y) for x in one for y in other])
    assert discrepancy(*kernels(one, other, width)) == pytest.approx(within - 2 * across)


def test_the_discrepancy_of_two_normal_sets_is_the_closed_form() -> None:
    """Of N(0, 1) and N(m, 1) under a kernel of width w: 2 w / √(w² + 2) (1 - exp(-m² / (2 (w² + 2))))."""
    random = np.random.default_rng(1)
    width, shift = 1.5, 1.0
    one, other = random.normal(size=(3000, 1)), random.normal(shift, 1, size=(3000, 1))
    total = width**2 + 2
    expected = 2 * width / np.sqrt(total) * (1 - np.exp(-(shift**2) / (2 * total)))
    assert discrepancy(*kernels(one, other, width)) == pytest.approx(expected, rel=0.1)


def test_sets_of_one_clip_have_no_discrepancy() -> None:
    assert np.isnan(discrepancy(np.ones((1, 1)), np.ones((5, 5)), np.ones((1, 5))))


def test_vendi_counts_the_groups_of_equal_clips() -> None:
    assert vendi(np.ones((6, 6))) == pytest.approx(1)
    assert vendi(np.eye(6)) == pytest.approx(6)
    assert vendi(np.kron(np.eye(3), np.ones((2, 2)))) == pytest.approx(3)
