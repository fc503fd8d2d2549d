"""The files of a report, written and opened again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_report import made_result, made_shown
from melgpt.audio.io import read
from melgpt.errors import UserError
from melgpt.evaluation.report import write, write_report
from melgpt.evaluation.report.stored import read_report


def test_result_and_sounds_come_back(tmp_path: Path) -> None:
    shown = made_shown()
    write_report(tmp_path / "new", made_result(), shown)
    stored = read_report(tmp_path / "new")
    assert stored.name == "tiny"
    assert {name: stored.result[name] for name in made_result()} == made_result()
    sounds = stored.sounds("generated")
    assert [each["index"] for each in sounds] == list(range(6))
    mine = [each for each in shown if each.row == "generated"]
    for each, sound in zip(sounds, mine, strict=True):
        assert (each["label"], each["title"]) == (sound.label, sound.title)
        heard = read(stored.folder / each["file"])
        assert heard.samples.shape == sound.audio.samples.shape
        likeness = np.corrcoef(heard.samples.numpy().ravel(), sound.audio.samples.numpy().ravel())[0, 1]
        assert likeness > 0.95


def test_only_sounds_inside_the_report_are_taken(tmp_path: Path) -> None:
    write_report(tmp_path / "new", made_result(), made_shown())
    stored = read_report(tmp_path / "new")
    (tmp_path / "private.ogg").write_bytes(b"private")
    stored.result["shown"][6]["file"] = "sounds/../../private.ogg"
    stored.result["shown"][7]["file"] = "sounds/gone.ogg"
    assert [each["index"] for each in stored.sounds("generated")] == [2, 3, 4, 5]


def test_numbers_that_are_none_become_null(tmp_path: Path) -> None:
    result = made_result()
    result["codec"]["mel_l1"] = float("nan")
    result["seconds"]["listen"] = float("inf")
    write_report(tmp_path, result, [])
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["codec"]["mel_l1"] is None


def test_an_earlier_report_leaves_no_sounds_behind(tmp_path: Path) -> None:
    write_report(tmp_path, made_result(), made_shown(clips=2))
    (tmp_path / "sounds" / "mine.ogg").write_bytes(b"precious")
    write_report(tmp_path, made_result(), made_shown(clips=1))
    listed = {each["file"] for each in read_report(tmp_path).result["shown"]}
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.ogg")}
    assert there == listed | {"sounds/mine.ogg"}


def test_a_report_that_fails_half_way_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(tmp_path, made_result(), made_shown(clips=1))

    def fails(*args: object) -> str:
        raise RuntimeError("no page")

    monkeypatch.setattr(write, "page", fails)
    with pytest.raises(RuntimeError, match="no page"):
        write_report(tmp_path, made_result(), made_shown(clips=1))
    with pytest.raises(UserError, match="not a report"):
        read_report(tmp_path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format 1"):
        write_report(tmp_path, made_result() | {"format": 2}, [])
    write_report(tmp_path, made_result(), [])
    file = tmp_path / "report.json"
    file.write_text(json.dumps(made_result() | {"format": 7}))
    with pytest.raises(UserError, match="format 7"):
        read_report(tmp_path)
    for other in ("[1, 2]", '{"format": 1}', '{"format": 1, "rows": ["a"]}', '{"format": 1, "rows": [{}]}'):
        file.write_text(other)
        with pytest.raises(UserError, match="not the result"):
            read_report(tmp_path)
    file.write_text("{")
    with pytest.raises(UserError, match="damaged"):
        read_report(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "abc"},
        {"shown": "abc"},
        {"shown": [{}]},
        {"ladder": [{"stage": 3, "measures": {}}]},
        {"rows": [{"name": "generated", "measures": {"accuracy": 0.5}}]},
        {"codec": [1]},
    ],
)
def test_what_has_another_shape_is_no_report(tmp_path: Path, change: dict[str, Any]) -> None:
    write_report(tmp_path, made_result(), made_shown())
    file = tmp_path / "report.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UserError, match="is not the result of an evaluation"):
        read_report(tmp_path)
