"""The longest shared run, against looking at all of them one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from melgpt.evaluation.token_runs import longest_runs

SEQUENCES = st.lists(st.lists(st.integers(0, 2), max_size=14), min_size=1, max_size=4)


def arrays(sequences: list[list[int]]) -> list[np.ndarray]:
    return [np.array(each, dtype=np.int64) for each in sequences]


def by_hand(wanted: list[int], known: list[list[int]]) -> int:
    return max(
        (
            length
            for first in range(len(wanted))
            for length in range(1, len(wanted) - first + 1)
            for other in known
            for start in range(len(other) - length + 1)
            if other[start : start + length] == wanted[first : first + length]
        ),
        default=0,
    )


@given(SEQUENCES, SEQUENCES)
def test_every_longest_run_is_found_where_it_is(wanted: list[list[int]], known: list[list[int]]) -> None:
    found = longest_runs(arrays(wanted), arrays(known))
    assert [run.length for run in found] == [by_hand(each, known) for each in wanted]
    for each, run in zip(wanted, found, strict=True):
        part = known[run.sequence][run.start : run.start + run.length]
        assert len(part) == run.length
        assert any(each[first : first + run.length] == part for first in range(len(each) + 1))


def test_a_whole_copy_is_found_among_many() -> None:
    random = np.random.default_rng(0)
    known = [random.integers(0, 1000, 265) for _ in range(40)]
    copied = np.concatenate([random.integers(0, 1000, 20), known[7][30:230]])
    (run,) = longest_runs([copied], known)
    assert (run.length, run.sequence, run.start) == (200, 7, 30)


def test_runs_of_another_new_clip_do_not_count() -> None:
    same = np.arange(50)
    assert [run.length for run in longest_runs([same, same], [np.arange(100, 120)])] == [0, 0]
