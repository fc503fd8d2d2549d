"""The learning rate follows from the step alone."""

import pytest

from melgpt.training.schedule import learning_rate
from melgpt.training.settings import StageTraining


def test_it_rises_then_falls_to_its_last_share() -> None:
    settings = StageTraining(steps=110, warmup=10, learning_rate=0.5, last_rate=0.2)
    rates = [learning_rate(step, settings) for step in range(111)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[9] == rates[10] == max(rates) == 0.5
    assert rates[60] == pytest.approx(0.3)
    assert rates[110] == min(rates[10:]) == pytest.approx(0.1)


def test_with_a_last_share_of_1_it_stays() -> None:
    settings = StageTraining(steps=50, warmup=1, learning_rate=0.5, last_rate=1)
    assert {learning_rate(step, settings) for step in range(60)} == {0.5}
