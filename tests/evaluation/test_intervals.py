"""Intervals hold what they promise, on distributions whose spread is known."""

import numpy as np
import pytest

from melgpt.evaluation import intervals
from melgpt.evaluation.distances import frechet_distance


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=400)
    found = intervals.of_mean(values, resamples=2000)
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    assert found.value == values.mean()
    assert found.high - found.low == pytest.approx(expected, rel=0.1)
    assert found.low < found.value < found.high


def test_halves_without_replacement_give_the_same_width_for_a_mean() -> None:
    values = np.random.default_rng(1).normal(3, 2, size=400)
    found = intervals.of_sets(lambda one, _: {"mean": float(values[one].mean())}, (400, 400), resamples=2000)
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    assert found["mean"].high - found["mean"].low == pytest.approx(expected, rel=0.1)


def test_the_interval_of_a_distance_of_sets_holds_its_value_though_halves_lie_farther_apart() -> None:
    random = np.random.default_rng(2)
    one, other = random.normal(size=(100, 8)), random.normal(0.3, 1, size=(100, 8))

    def measure(rows: np.ndarray, others: np.ndarray) -> dict[str, float]:
        return {"frechet": frechet_distance(one[rows], other[others])}

    found = intervals.of_sets(measure, (100, 100))["frechet"]
    assert found.low < found.value < found.high
    halves = [random.permutation(100)[:50] for _ in range(20)]
    apart = np.mean([measure(half, half)["frechet"] for half in halves])
    assert apart > 1.2 * found.value, "halves lie farther apart, which must not move the interval"


def test_bounds_and_measures_without_a_value() -> None:
    def measure(one: np.ndarray, _: np.ndarray) -> dict[str, float]:
        few = float("nan") if len(one) < 10 else 0.5
        return {"share": float(np.mean(one % 2)), "never": float("nan"), "not for halves": few}

    found = intervals.of_sets(measure, (12, 12), bounds={"share": (0.4, 0.6)})
    assert list(found) == ["share"]
    assert found["share"].low == 0.4
    assert found["share"].high == 0.6


def test_pairs_stay_together() -> None:
    seen: list[bool] = []
    intervals.of_sets(
        lambda one, other: seen.append(bool((one == other).all())) or {"x": 1.0}, (8, 8), paired=True
    )
    assert all(seen)


def test_the_seed_alone_decides() -> None:
    values = np.arange(50.0)
    assert intervals.of_mean(values, seed=1) == intervals.of_mean(values, seed=1)
    assert intervals.of_mean(values, seed=1) != intervals.of_mean(values, seed=2)
