"""Pairs for blind listening: fair, seeded, and nothing on the page that tells whose a sound is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from made_report import LABELS, made_result, made_shown
from melgpt.audio.io import write
from melgpt.evaluation.report import write_report
from melgpt.evaluation.report.stored import Stored, read_report
from melgpt.evaluation.side_by_side.differences import judged_row
from melgpt.evaluation.side_by_side.listening import Pair, draw_pairs, write_listening
from melgpt.types import Audio
from page_checks import check_page


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Stored]:
    folder = tmp_path_factory.mktemp("reports")
    found = []
    for name, clips in (("first model", 4), ("second model", 3), ("third model", 4)):
        write_report(folder / name, made_result(name), made_shown(clips, seconds=0.1))
        found.append(read_report(folder / name))
    return found


def _draw(reports: list[Stored], most: int = 40, seed: int = 0) -> list[Pair]:
    return draw_pairs(reports, [judged_row(report) for report in reports], most=most, seed=seed)


def test_pairs_are_of_one_label_and_two_reports(reports: list[Stored]) -> None:
    pairs = _draw(reports[:2])
    assert len(pairs) == 3 * len(LABELS)
    for pair in pairs:
        assert set(pair.reports) == {0, 1}
        for place, file in zip(pair.reports, pair.files, strict=True):
            mine = {reports[place].folder / each["file"]: each for each in reports[place].sounds("generated")}
            assert mine[file]["label"] == pair.label
    assert len({file for pair in pairs for file in pair.files}) == 2 * len(pairs)


def test_each_report_is_a_as_often_as_b(reports: list[Stored]) -> None:
    for seed in range(10):
        pairs = _draw(reports, most=30, seed=seed)
        for both in ((0, 1), (0, 2), (1, 2)):
            sides = [pair.reports for pair in pairs if set(pair.reports) == set(both)]
            assert abs(sides.count(both) - sides.count(both[::-1])) <= 1
            assert sides


def test_few_pairs_still_cover_all_labels(reports: list[Stored]) -> None:
    assert {pair.label for pair in _draw(reports[:2], most=3)} == set(LABELS)


def test_the_order_is_seeded(reports: list[Stored]) -> None:
    assert _draw(reports, seed=3) == _draw(reports, seed=3)
    assert _draw(reports, seed=3) != _draw(reports, seed=4)


def test_picked_clips_are_not_voted_on(reports: list[Stored], tmp_path: Path) -> None:
    shown = [replace(each, picked=(each.index or 0) > 2) for each in made_shown(3, seconds=0.1)]
    write_report(tmp_path, made_result(), shown)
    pairs = _draw([reports[0], read_report(tmp_path)])
    assert len(pairs) == len(LABELS)


def test_reports_without_a_common_label_make_no_pairs(reports: list[Stored], tmp_path: Path) -> None:
    write_report(tmp_path, made_result(), [])
    assert _draw([reports[0], read_report(tmp_path)]) == []


def test_the_page_does_not_tell_whose_a_sound_is(reports: list[Stored], tmp_path: Path) -> None:
    pairs = _draw(reports[:2])
    write_listening(tmp_path, reports[:2], pairs, seed=0)
    html = (tmp_path / "listen.html").read_text(encoding="utf-8")
    page = check_page(html)
    for secret in ("first model", "second model", *(report.fingerprint for report in reports)):
        assert secret not in html
    assert str(reports[0].folder) not in html
    held = json.loads(next(text for text in page.scripts if text.startswith("{")))
    assert [set(pair) for pair in held["pairs"]] == [{"id", "label", "a", "b"}] * len(pairs)
    key = json.loads((tmp_path / "listen.key.json").read_text(encoding="utf-8"))
    assert key["page"] == held["page"]
    assert [(pair["a"], pair["b"]) for pair in key["pairs"]] == [pair.reports for pair in pairs]
    assert [pair["label"] for pair in held["pairs"]] == [pair.label for pair in pairs]


def test_both_sounds_of_a_pair_are_heard_equally_loud(reports: list[Stored], tmp_path: Path) -> None:
    pairs = _draw(reports[:2], most=2)
    names = (0.5, "loud"), (0.125, "soft")
    time = torch.arange(22050) / 22050
    files = [tmp_path / f"{name}.ogg" for _, name in names]
    for (level, _), file in zip(names, files, strict=True):
        write(file, Audio(level * torch.sin(2764.6 * time)[None], 22050))
    write_listening(tmp_path, reports[:2], [replace(pairs[0], files=(files[0], files[1]))], seed=0)
    page = check_page((tmp_path / "listen.html").read_text(encoding="utf-8"))
    [pair] = json.loads(next(text for text in page.scripts if text.startswith("{")))["pairs"]
    assert pair["a"]["volume"] == pytest.approx(0.25, abs=0.01)
    assert pair["b"]["volume"] == 1


def test_silence_turns_nothing_down(reports: list[Stored], tmp_path: Path) -> None:
    file = tmp_path / "silent.ogg"
    write(file, Audio(torch.zeros(1, 22050), 22050))
    loud = _draw(reports[:2], most=1)[0]
    write_listening(tmp_path, reports[:2], [replace(loud, files=(loud.files[0], file))], seed=0)
    page = check_page((tmp_path / "listen.html").read_text(encoding="utf-8"))
    [pair] = json.loads(next(text for text in page.scripts if text.startswith("{")))["pairs"]
    assert [pair[side]["volume"] for side in "ab"] == [1, 1]


def test_another_order_is_another_page(reports: list[Stored], tmp_path: Path) -> None:
    names = set()
    for seed in (0, 1, 0):
        write_listening(tmp_path, reports[:2], _draw(reports[:2], seed=seed), seed=seed)
        names.add(json.loads((tmp_path / "listen.key.json").read_text(encoding="utf-8"))["page"])
    assert len(names) == 2
