"""Tables of tokens, on sequences whose bits can be worked out by hand."""

import numpy as np
import pytest

from melgpt.evaluation.token_tables import table_bits


def test_tokens_that_follow_from_the_one_before_cost_nothing_in_pairs() -> None:
    training = [np.array([0, 1, 2, 3] * 500)]
    found = table_bits(training, [np.array([0, 1, 2, 3] * 5)], 4)
    assert found["unigram_bits"] == pytest.approx(2, abs=0.01)
    assert found["bigram_bits"] == pytest.approx(0, abs=0.01)


def test_independent_tokens_cost_their_entropy_in_both() -> None:
    random = np.random.default_rng(0)
    share = np.array([0.5, 0.25, 0.125, 0.125])
    training, judged = (random.choice(4, 20000, p=share) for _ in range(2))
    found = table_bits([training], [judged], 4)
    assert found["unigram_bits"] == pytest.approx(1.75, abs=0.03)
    assert found["bigram_bits"] == pytest.approx(1.75, abs=0.03)


def test_a_token_that_never_occurred_costs_a_finite_number_of_bits() -> None:
    found = table_bits([np.array([0, 0, 0, 0])], [np.array([2, 1])], 3)
    # Counts 4.5, 0.5, 0.5: one of eleven halves; nothing ever followed a 2.
    assert found["unigram_bits"] == pytest.approx(np.log2(11))
    assert found["bigram_bits"] == pytest.approx(np.log2(11))
