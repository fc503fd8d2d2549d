"""The split keeps what belongs together on one side, is stable, and leaves no class untrained."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melgpt.data.split import (
    TEST,
    TRAIN,
    UNKNOWN,
    VALID,
    Clips,
    Files,
    Sides,
    assign,
    hash_key,
    hold_out_ends,
    take_validation,
)

NO_LINKS = np.zeros((0, 2), np.int64)


def files(sources: list[str], labels: list[int] | None = None, **known: dict[int, int]) -> Files:
    sides = {name: np.full(len(sources), UNKNOWN, np.int8) for name in ("given", "earlier")}
    for name, places in known.items():
        for place, side in places.items():
            sides[name][place] = side
    keys = np.array([hash_key(s) for s in sources], np.uint64)
    return Files(keys, np.array(labels or [0] * len(sources), np.int64), sides["given"], sides["earlier"])


def many(count: int) -> list[str]:
    return [f"recording {number}" for number in range(count)]


def split(sources: list[str], links: np.ndarray = NO_LINKS, fraction: float = 0.1) -> Sides:
    return assign(files(sources), links, fraction)


def test_share_of_validation_is_about_what_was_asked() -> None:
    assert (split(many(2000), fraction=0.2) == VALID).mean() == pytest.approx(0.2, abs=0.03)


def test_adding_files_moves_none() -> None:
    before = split(many(500))
    after = split(many(800))
    np.testing.assert_array_equal(before, after[:500])


def test_files_of_one_source_are_on_one_side() -> None:
    sides = split([f"recording {n // 5}" for n in range(1000)])
    assert all(len(set(sides[n : n + 5])) == 1 for n in range(0, 1000, 5))
    assert set(sides) == {TRAIN, VALID}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=40))
def test_linked_files_are_on_one_side_through_any_chain(pairs: list[tuple[int, int]]) -> None:
    links = np.array(pairs, np.int64).reshape(-1, 2)
    sides = split(many(60), links, 0.4)
    np.testing.assert_array_equal(sides[links[:, 0]], sides[links[:, 1]])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=30), st.floats(0, 0.9))
def test_every_class_trains_and_validation_has_something_where_it_can(
    rows: list[tuple[int, int]], fraction: float
) -> None:
    sources = [f"{label} {source}" for source, label in rows]
    labels = np.unique([label for _, label in rows], return_inverse=True)[1].tolist()
    sides = assign(files(sources, labels), NO_LINKS, fraction)
    trained = {label for label, side in zip(labels, sides, strict=True) if side == TRAIN}
    assert trained == set(labels)
    if len(set(sources)) > len(trained):
        assert (sides == VALID).any()


def test_given_sides_win_and_their_group_follows() -> None:
    sources = [*many(50), "recording 7"]
    sides = assign(files(sources, given={7: TEST, 8: VALID}), NO_LINKS, 0.1)
    assert (sides[7], sides[50], sides[8]) == (TEST, TEST, VALID)


def test_given_sides_stay_even_where_a_class_is_left_without_training() -> None:
    sides = assign(files(many(3), given={0: TEST, 1: TEST, 2: VALID}), NO_LINKS, 0.1)
    assert sides.tolist() == [TEST, TEST, VALID]


def test_earlier_sides_stay_against_the_hash() -> None:
    fresh = split(many(100))
    earlier = {place: VALID if side == TRAIN else TRAIN for place, side in enumerate(fresh[:10])}
    sides = assign(files(many(100), earlier=earlier), NO_LINKS, 0.1)
    assert sides[:10].tolist() == list(earlier.values())
    np.testing.assert_array_equal(sides[10:], fresh[10:])


def test_group_known_on_both_sides_goes_to_training() -> None:
    links = np.array([[0, 1]])
    sides = assign(files(many(100), earlier={0: TRAIN, 1: VALID}), links, 0.1)
    assert sides[:2].tolist() == [TRAIN, TRAIN]


def test_two_groups_of_one_class_give_one_for_validation() -> None:
    assert sorted(split(many(2), fraction=0.0)) == [TRAIN, VALID]


def test_one_group_alone_trains() -> None:
    assert split(["recording"] * 4, fraction=0.9).tolist() == [TRAIN] * 4


def test_validation_that_is_not_given_is_taken_from_training_by_recording() -> None:
    sources = [f"recording {number // 2}" for number in range(100)]
    labels = [number % 2 for number in range(100)]
    given = files(sources, labels, given={place: TEST if place >= 80 else TRAIN for place in range(100)})
    first = assign(given, NO_LINKS, 0.2)
    sides = take_validation(given, first, NO_LINKS, 0.2)
    assert (sides[80:] == TEST).all()
    assert 4 <= (sides[:80] == VALID).sum() <= 30
    assert all(sides[place] == sides[place + 1] for place in range(0, 80, 2))
    assert set(np.array(labels)[sides == TRAIN]) == {0, 1}


def test_a_training_file_that_a_test_file_is_like_can_be_for_validation_but_not_for_tests() -> None:
    given = files(many(3), given={0: TRAIN, 1: TRAIN, 2: TEST})
    links = np.array([[0, 2], [1, 2]])
    sides = take_validation(given, assign(given, links, 0.1), links, 0.1)
    assert sorted(sides[:2]) == [TRAIN, VALID]
    assert sides[2] == TEST


def test_given_validation_is_left_as_it_is() -> None:
    given = files(many(4), given={0: TRAIN, 1: TRAIN, 2: VALID, 3: TEST})
    first = assign(given, NO_LINKS, 0.5)
    assert take_validation(given, first, NO_LINKS, 0.5).tolist() == [TRAIN, TRAIN, VALID, TEST]


def ends(known: Files, counts: list[int], links: np.ndarray = NO_LINKS) -> list[int]:
    """Sides of the clips, so many of each file, after the ends of lone recordings were held out."""
    sides = take_validation(known, assign(known, links, 0.1), links, 0.1)
    places = np.repeat(np.arange(len(counts)), counts)
    return hold_out_ends(Clips(places, sides[places]), known, links, 0.1).sides.tolist()


@pytest.mark.parametrize(("clips", "held"), [(1, 0), (2, 1), (9, 1), (40, 4)])
def test_the_last_tenth_of_one_recording_is_the_validation(clips: int, held: int) -> None:
    assert ends(files(["long"]), [clips]) == [TRAIN] * (clips - held) + [VALID] * held


def test_parts_of_one_recording_give_their_last_clips() -> None:
    assert ends(files(["long", "long"]), [2, 2]) == [TRAIN, TRAIN, TRAIN, VALID]


def test_a_recording_that_is_there_twice_gives_no_end() -> None:
    assert ends(files(["a", "b"]), [2, 2], np.array([[0, 1]])) == [TRAIN] * 4


def test_each_class_of_one_long_recording_gives_its_end_and_the_others_do_not() -> None:
    known = files([*many(4), "long"], [0, 0, 0, 0, 1])
    sides = ends(known, [1, 1, 1, 1, 10])
    assert sides[4:] == [TRAIN] * 9 + [VALID]
    assert VALID in sides[:4]


def test_a_given_side_is_cut_only_where_nothing_else_is_for_validation() -> None:
    assert ends(files(["a"], given={0: TRAIN}), [3]) == [TRAIN, TRAIN, VALID]
    assert ends(files(["a", "b"], [0, 1], given={0: TRAIN, 1: VALID}), [3, 1]) == [TRAIN] * 3 + [VALID]
    assert ends(files(["a", "b"], given={0: TRAIN, 1: TEST}), [3, 2]) == [TRAIN, TRAIN, VALID, TEST, TEST]
