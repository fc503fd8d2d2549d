"""Votes are un-blinded by the key and tested exactly."""

import json
from pathlib import Path
from typing import Any

import pytest

from melgpt.errors import UserError
from melgpt.evaluation.side_by_side.votes import in_words, preferences, read_votes

KEY: dict[str, Any] = {
    "page": "this",
    "reports": [{"name": "old"}, {"name": "new"}],
    "pairs": [{"id": i, "label": "dog", "a": i % 2, "b": 1 - i % 2} for i in range(20)],
}


def _file(path: Path, votes: Any, **changes: Any) -> Path:
    path.write_text(json.dumps({"format": 1, "page": "this", "finished": True, "votes": votes} | changes))
    return path


def _for(report: int, pairs: range) -> list[dict[str, Any]]:
    return [{"pair": i, "choice": "a" if KEY["pairs"][i]["a"] == report else "b"} for i in pairs]


def test_votes_go_to_the_report_whose_sound_it_was(tmp_path: Path) -> None:
    votes = _for(1, range(12)) + _for(0, range(12, 14)) + [{"pair": 14, "choice": "none"}]
    (found,) = preferences(KEY, read_votes([_file(tmp_path / "v.json", votes)], KEY))
    assert found.wins == (2, 12)
    assert found.ties == 1
    assert found.p == pytest.approx(2 * (1 + 14 + 91) / 2**14)  # both tails of 2 or fewer of 14
    assert found.share == pytest.approx(2 / 14)
    assert found.interval is not None
    assert found.interval[0] < found.share < found.interval[1] < 0.5
    assert "new is preferred" in in_words(found, ["old", "new"])


def test_an_even_vote_may_be_chance(tmp_path: Path) -> None:
    votes = _for(1, range(6)) + _for(0, range(6, 10))
    (found,) = preferences(KEY, read_votes([_file(tmp_path / "v.json", votes)], KEY))
    assert found.p == pytest.approx(0.754, abs=1e-3)
    assert "may be chance" in in_words(found, ["old", "new"])


def test_no_preference_at_all_is_said_so(tmp_path: Path) -> None:
    votes = [{"pair": i, "choice": "none"} for i in range(3)]
    (found,) = preferences(KEY, read_votes([_file(tmp_path / "v.json", votes)], KEY))
    assert found.p is None
    assert "nobody preferred" in in_words(found, ["old", "new"])
    assert preferences(KEY, []) == []


def test_several_listeners_are_added_up(tmp_path: Path) -> None:
    files = [_file(tmp_path / name, _for(1, range(5))) for name in ("a.json", "b.json")]
    (found,) = preferences(KEY, read_votes(files, KEY))
    assert found.wins == (0, 10)
    with pytest.raises(UserError, match="given twice"):
        read_votes([files[0], files[0]], KEY)


@pytest.mark.parametrize(
    ("votes", "changes", "words"),
    [
        ([], {"page": "that"}, "another page"),
        ([], {"format": 2}, "format 2"),
        ("none", {}, "holds no votes"),
        ([{"pair": 20, "choice": "a"}], {}, "is no vote"),
        ([{"pair": -1, "choice": "a"}], {}, "is no vote"),
        ([{"pair": 1, "choice": "c"}], {}, "is no vote"),
        ([{"pair": True, "choice": ["a"]}], {}, "is no vote"),
        (["a"], {}, "is no vote"),
        ([{"pair": 1, "choice": "a"}] * 2, {}, "twice on one pair"),
    ],
)
def test_what_are_no_votes_of_this_page(tmp_path: Path, votes: Any, changes: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_votes([_file(tmp_path / "v.json", votes, **changes)], KEY)
