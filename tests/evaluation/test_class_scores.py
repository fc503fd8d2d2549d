"""Scores from class distributions, against what is known in closed form."""

import numpy as np
import pytest

from melgpt.errors import UserError
from melgpt.evaluation.class_scores import inception_score, paired_divergence


def certain(labels: list[int], classes: int = 4) -> np.ndarray:
    """Logits that leave no doubt."""
    return 50.0 * np.eye(classes)[labels]


def test_the_best_score_is_the_number_of_classes_and_the_worst_is_one() -> None:
    assert inception_score(certain([0, 1, 2, 3]), splits=1).mean == pytest.approx(4)
    assert inception_score(certain([2, 2, 2, 2]), splits=1).mean == pytest.approx(1)
    assert inception_score(np.zeros((8, 4)), splits=2).mean == pytest.approx(1)


def test_splits_are_scored_by_themselves_in_the_order_of_the_seed() -> None:
    logits = certain([0, 0, 0, 0, 0, 1, 2, 3])
    in_order = inception_score(logits, splits=2, seed=None)
    assert (in_order.mean, in_order.std) == pytest.approx((2.5, 1.5))
    assert inception_score(logits, splits=2, seed=1) == inception_score(logits, splits=2, seed=1)
    assert inception_score(logits, splits=2, seed=1).mean != pytest.approx(2.5)


def test_equal_pairs_diverge_by_nothing_but_the_epsilon() -> None:
    logits = np.random.default_rng(0).normal(size=(6, 5))
    assert paired_divergence(logits, logits) == pytest.approx(0, abs=1e-4)
    assert paired_divergence(logits, logits, epsilon=0) == pytest.approx(0, abs=1e-12)


def test_the_divergence_is_weighted_by_the_real_distribution() -> None:
    real, fake = np.log([[0.8, 0.2]]), np.log([[0.5, 0.5]])
    expected = 0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.2 / 0.5)
    assert paired_divergence(fake, real, epsilon=0) == pytest.approx(expected)
    assert paired_divergence(real, fake, epsilon=0) != pytest.approx(expected)


def test_a_wrong_and_certain_sound_costs_no_more_than_the_epsilon_allows() -> None:
    cost = paired_divergence(certain([0]), certain([1]))
    assert cost == pytest.approx(-np.log(1e-6), rel=1e-3)


def test_arrays_that_cannot_be_scored_are_refused() -> None:
    with pytest.raises(UserError, match="logits has 3 samples; this measure needs at least 10"):
        inception_score(np.zeros((3, 4)))
    with pytest.raises(UserError, match="at least one split"):
        inception_score(np.zeros((3, 4)), splits=0)
    with pytest.raises(UserError, match="as many real as generated samples, not 3 and 2"):
        paired_divergence(np.zeros((2, 4)), np.zeros((3, 4)))
    with pytest.raises(UserError, match="do not come from the same network"):
        paired_divergence(np.zeros((2, 4)), np.zeros((2, 5)))
    with pytest.raises(UserError, match="generated has 0 samples"):
        paired_divergence(np.zeros((0, 4)), np.zeros((0, 4)))
    with pytest.raises(UserError, match="NaN or infinity"):
        inception_score(np.full((12, 2), np.nan))
