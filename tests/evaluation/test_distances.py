"""Distances of sets of features, against what is known in closed form."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import linalg

from melgpt.errors import UserError
from melgpt.evaluation.distances import frechet_distance, kernel_distance

Measure = Callable[..., object]


@pytest.fixture
def features() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(60, 5)), random.normal(0.3, 1.5, size=(40, 5))


def test_a_set_has_no_frechet_distance_from_itself(features: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = features
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one))


def test_a_shift_costs_its_squared_length(features: tuple[np.ndarray, np.ndarray]) -> None:
    one, _ = features
    shift = np.array([1.0, 0, 2, 0, 0])
    assert frechet_distance(one + shift, one) == pytest.approx(5)


def test_a_scaling_costs_the_squared_difference_of_deviations() -> None:
    one = np.random.default_rng(1).normal(size=(500, 1))
    expected = (3 - 1) ** 2 * one.var(ddof=1) + (2 * one.mean()) ** 2
    assert frechet_distance(3 * one, one) == pytest.approx(expected)


def test_it_is_the_definition_with_the_root_of_a_matrix(features: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = features
    a, b = np.cov(one.T), np.cov(other.T)
    root = linalg.sqrtm(a @ b).real
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)


def test_fewer_samples_than_features_are_no_obstacle() -> None:
    random = np.random.default_rng(2)
    one, other = random.normal(size=(4, 30)), random.normal(size=(6, 30))
    assert np.isfinite(frechet_distance(one, other))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-5)


def test_the_kernel_distance_of_one_subset_is_the_unbiased_estimate() -> None:
    random = np.random.default_rng(3)
    one, other = random.normal(size=(7, 3)), random.normal(size=(7, 3))

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (x @ y / 3 + 1) ** 3

    within = [
        np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j])
        for s in (one, other)
    ]
    across = np.mean([kernel(x, y) for x in one for y in other])
    found = kernel_distance(one, other, subsets=1, subset_size=7)
    assert found.mean == pytest.approx(sum(within) - 2 * across)
    assert found.std == 0


def test_equal_distributions_have_about_no_kernel_distance_and_others_have() -> None:
    random = np.random.default_rng(4)
    one, same, shifted = (random.normal(m, 1, size=(300, 4)) for m in (0, 0, 1))
    options = {"subsets": 20, "subset_size": 200}
    assert abs(kernel_distance(one, same, **options).mean) < 0.05
    assert kernel_distance(one, shifted, **options).mean > 1


def test_the_seed_alone_decides_the_subsets(features: tuple[np.ndarray, np.ndarray]) -> None:
    options = {"subsets": 3, "subset_size": 10}
    first, again = (kernel_distance(*features, **options, seed=1) for _ in range(2))
    assert first == again != kernel_distance(*features, **options, seed=2)


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance])
@pytest.mark.parametrize(
    ("generated", "real", "words"),
    [
        (np.ones((1, 3)), np.ones((4, 3)), "generated has 1 samples; this measure needs at least 2"),
        (np.ones((4, 3)), np.ones((0, 3)), "real has 0 samples"),
        (np.ones((4, 3)), np.ones((4, 2)), "generated has 3 features a sample and real has 2"),
        (np.ones(4), np.ones((4, 2)), r"generated must be an array \[samples, features\], not \[4\]"),
        (np.array([[0.0], [1.0], [np.nan]]), np.ones((4, 1)), "NaN or infinity in 1 of 3 samples, first in"),
    ],
)
def test_arrays_that_cannot_be_measured_are_refused(
    measure: Measure, generated: np.ndarray, real: np.ndarray, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        measure(generated, real)


@pytest.mark.parametrize("options", [{"subsets": 0}, {"subset_size": 1}])
def test_subsets_of_nothing_are_refused(
    features: tuple[np.ndarray, np.ndarray], options: dict[str, int]
) -> None:
    with pytest.raises(UserError, match="subsets of at least 2 samples are needed"):
        kernel_distance(*features, **options)
