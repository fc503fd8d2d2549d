"""The page of a report: whole, offline, safe with any label, and complete."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from made_report import LABELS, made_result, made_shown
from melgpt.evaluation.report import write_report
from page_checks import Page, check_page


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    result = made_result("tiny </script><script>alert(1)</script>")
    result["memorisation"]["flagged"] = 1
    result["memorisation"]["clips"][4] |= {"flagged": True, "distance": 0.9, "longest_run": 99}
    write_report(folder, result, made_shown())
    return folder


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return check_page((written / "report.html").read_text(encoding="utf-8"))


def test_labels_and_names_are_shown_and_never_run(page: Page) -> None:
    for label in LABELS:
        assert label in page.text
    assert "tiny </script><script>alert(1)</script>" in page.text
    assert "b" not in {name for name, _ in page.elements}
    assert not any("alert" in script for script in page.scripts)


def test_every_sound_can_be_played_from_the_page_alone(page: Page) -> None:
    sounds = [attributes["src"] for name, attributes in page.elements if name == "audio"]
    assert len(sounds) == 12 + 2 * 3  # all but the training clips, and three pairs
    for sound in sounds:
        assert sound is not None
        head, data = sound.split(",", 1)
        assert head == "data:audio/ogg;base64"
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
        assert len(samples) / rate == pytest.approx(0.4, abs=0.01)


def test_every_sound_has_a_picture_with_axes(page: Page) -> None:
    pictures = [attributes for name, attributes in page.elements if name == "image"]
    assert len(pictures) == 18
    assert all((each["href"] or "").startswith("data:image/png;base64,") for each in pictures)
    assert "Hz" in page.text
    assert "5k" in page.text


def test_flagged_clips_come_first_beside_their_training_clip(page: Page) -> None:
    text = page.text
    assert "1 of 20 generated clips is flagged" in text
    pairs = text[text.index("Generated clips beside") : text.index("All clips")]
    assert pairs.index("Clip 4,") < pairs.index("Clip 0,") < pairs.index("Clip 1,")
    assert pairs.count("flagged") == 1
    assert "dog/4.wav" in pairs


def test_rows_are_marked_by_role_and_every_measure_has_its_interval(page: Page) -> None:
    rows = [
        attributes["class"] for name, attributes in page.elements if name == "tr" and "class" in attributes
    ]
    assert {"floor", "ceiling", "model", "control"} <= set(rows)
    assert "86.0 %" in page.text
    assert "[83.0 %, 89.0 %]" in page.text
    assert "logarithmic axis" in page.text  # noise lies 150 times as far away as real sounds


def test_the_ladder_by_class_has_a_line_a_label_and_stage(page: Page) -> None:
    table = page.text.split("The ladder by class")[1]
    for label in LABELS:
        assert f"{label} mel + vocoder" in table
        assert f"{label} codec + vocoder" in table
    assert f"{LABELS[0]} generated" not in table


def test_tables_sort_by_buttons_that_a_keyboard_reaches(page: Page) -> None:
    tables = sum(
        attributes.get("class") == "sortable" for name, attributes in page.elements if name == "table"
    )
    buttons = sum(name == "button" for name, _ in page.elements)
    assert tables >= 5
    assert buttons > tables
    values = [attributes["data-value"] for name, attributes in page.elements if "data-value" in attributes]
    assert [float(value or "nan") for value in values]


def test_protocol_and_fingerprints_stand_at_the_end(page: Page) -> None:
    tail = page.text[page.text.rindex("How it was measured") :]
    for words in ("fingerprints.codec", "c0ffee", "da7a", "sampling.top_p", "extractor.fingerprint", "seed"):
        assert words in tail


def test_single_sounds_of_several_rows_stand_side_by_side(tmp_path: Path) -> None:
    one = made_shown(clips=1)
    more = [replace(each, row="many", title=str(n)) for n in range(2) for each in one[:3]]
    write_report(tmp_path, made_result(), [*one, *more])
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    lines = [line.count("<audio") for line in html.split('class="sounds"')[1:]]
    assert lines[:-1] == [2, 2, 2, 2, 2]
    assert "<strong>codec round trip</strong>" in html.split('class="sounds"')[1]
    assert "<strong>generated</strong>" in html.split('class="sounds"')[1]


def test_picked_clips_are_shown_as_copies_only(tmp_path: Path) -> None:
    shown = [replace(each, picked=each.index == 4) for each in made_shown()]
    write_report(tmp_path, made_result(), shown)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    names = [a["aria-label"] for name, a in check_page(html).elements if name == "audio"]
    assert "generated: clip 3" in names
    assert "generated: clip 4" not in names


def test_a_result_with_little_in_it_still_makes_a_page(tmp_path: Path) -> None:
    bare = {"format": 1, "rows": [{"name": "generated", "role": "model", "measures": {}}]}
    write_report(tmp_path, bare, [])
    text = check_page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "Listen" not in text.split("In plain words")[0]
    unmeasured = made_result()
    unmeasured["rows"][2]["measures"]["accuracy"] = {"value": float("nan"), "low": None, "high": None}
    unmeasured["rows"][2]["measures"]["frechet"] = {"value": 3.0, "low": None, "high": None}
    unmeasured["model"]["labels"] = []
    unmeasured["listeners"] = []
    write_report(tmp_path, unmeasured, [])
    check_page((tmp_path / "report.html").read_text(encoding="utf-8"))
