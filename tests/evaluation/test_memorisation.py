"""Copies are found, however they are shifted; held-out sounds are not taken for them."""

import numpy as np
import pytest
import torch

from melgpt.evaluation.memorisation import (
    Closeness,
    flagged,
    percentiles,
    quantiles,
    without_silent_end,
)
from melgpt.evaluation.shifted import Nearest, nearest_over_shifts
from melgpt.evaluation.token_runs import Run


def mels(count: int, seed: int) -> torch.Tensor:
    """[count, 6, 40], silent in their last quarter."""
    values = torch.rand(count, 6, 40, generator=torch.Generator().manual_seed(seed))
    values[..., 30:] = 0
    return values


def test_a_shifted_copy_is_found_with_its_shift_and_has_no_distance() -> None:
    known = mels(8, 0)
    late = torch.zeros(2, 6, 40)
    late[0, :, 7:37] = known[5, :, :30]
    late[1, :, :25] = known[2, :, 5:30]
    found = nearest_over_shifts(late, [known[:3], known[3:]])
    assert found.row.tolist() == [5, 2]
    assert found.shift.tolist() == [-7, 5], "frames by which the known one lies later"
    assert found.distance[0] == pytest.approx(0, abs=1e-5)
    assert 0 < found.distance[1] < 0.2, "what was cut off is missing"


def test_the_distance_is_what_its_definition_says() -> None:
    one, other = mels(1, 1), mels(1, 2)
    found = nearest_over_shifts(one, [other])
    pad = torch.nn.functional.pad(one[0], (40, 40))
    by_hand = min(
        float((pad - torch.nn.functional.pad(other[0], (shift, 80 - shift))).square().sum())
        for shift in range(81)
    )
    total = float(one.square().sum() + other.square().sum())
    assert found.distance[0] == pytest.approx(by_hand / total, abs=1e-5)


def test_silence_is_at_no_distance_from_silence_alone() -> None:
    silence = torch.zeros(1, 6, 40)
    assert nearest_over_shifts(silence, [silence]).distance[0] == 0
    assert nearest_over_shifts(silence, [mels(3, 0)]).distance[0] == pytest.approx(1)


def closeness(
    distances: list[float], runs: list[int] | None = None, anyway: list[float] | None = None
) -> Closeness:
    count = len(distances)
    near = np.array(distances)
    further = np.full(count, 1.0) if anyway is None else np.array(anyway)
    nearest = Nearest(near, further, np.zeros(count, np.int64), np.zeros(count, np.int64))
    found = None if runs is None else [Run(length, 0, 0) for length in runs]
    return Closeness(nearest, np.zeros(count), found)


def test_what_is_nearer_than_the_held_out_clips_or_shares_more_is_flagged() -> None:
    held = closeness(list(np.linspace(0.2, 0.6, 200)), [5] * 199 + [30])
    assert flagged(closeness([0.1, 0.2, 0.3, 0.5]), held).tolist() == [True, True, False, False]
    shared = closeness([0.3, 0.3, 0.3], [4, 15, 40])
    assert flagged(shared, held).tolist() == [False, False, True]


def test_a_texture_that_is_near_to_many_is_no_copy() -> None:
    held = closeness(list(np.linspace(0.2, 0.6, 200)))
    texture, copy = [0.01, 0.01], [0.012, 0.5]
    assert flagged(closeness(texture, anyway=copy), held).tolist() == [False, True]


def test_the_fifth_nearest_is_found_over_all_blocks() -> None:
    one, others = mels(1, 1), mels(9, 2)
    alone = sorted(float(nearest_over_shifts(one, [each[None]]).distance[0]) for each in others)
    found = nearest_over_shifts(one, [others[:2], others[2:]])
    assert found.distance[0] == pytest.approx(alone[0])
    assert found.further[0] == pytest.approx(alone[4])


def test_no_more_than_one_in_a_hundred_unseen_clips_is_flagged() -> None:
    random = np.random.default_rng(0)
    held, others = (closeness(list(random.normal(0.5, 0.1, 5000))) for _ in range(2))
    assert flagged(others, held).mean() < 0.016


def test_percentiles_and_quantiles() -> None:
    yardstick = np.array([1.0, 2, 3, 4])
    assert percentiles(np.array([0.5, 1, 2.5, 9]), yardstick).tolist() == [0, 0.25, 0.5, 1]
    assert quantiles(yardstick)["0.5"] == 2.5


def test_silence_at_the_end_is_no_shared_run_and_rows_are_told_apart() -> None:
    silence = torch.tensor([7, 8])
    tokens = torch.tensor([1, 2, 7, 8, 3, 8, 7, 8, 7, 8])
    assert without_silent_end(tokens, silence).tolist() == [2, 5, 14, 17, 6, 17]
    assert without_silent_end(tokens[6:], silence).tolist() == []
