"""Labels from folders or metadata.csv, and which files belong to one recording."""

import unicodedata
from pathlib import Path

import pytest

from melgpt.data.scan import Source, scan, source_name
from melgpt.errors import UserError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def labels(folder: Path) -> dict[str, str]:
    return {s.path: s.label for s in scan(folder) if not s.problem}


def listed(folder: Path, text: str, *, encoding: str = "utf-8") -> list[Source]:
    folder.mkdir(exist_ok=True)
    (folder / "metadata.csv").write_text(text, encoding=encoding)
    return list(scan(folder))


def test_label_is_the_path_of_the_sub_folder_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "dog/a.wav", "animals/big cats/лев/b.ogg", "犬/c.MP3")
    assert labels(tmp_path) == {
        "dog/a.wav": "dog",
        "animals/big cats/лев/b.ogg": "animals/big cats/лев",
        "犬/c.MP3": "犬",
    }


def test_labels_are_composed_unicode_whatever_the_disk_says(tmp_path: Path) -> None:
    touch(tmp_path, unicodedata.normalize("NFD", "Hähne") + "/a.wav")
    assert list(labels(tmp_path).values()) == [unicodedata.normalize("NFC", "Hähne")]


def test_flat_folder_gives_its_own_name(tmp_path: Path) -> None:
    assert set(labels(touch(tmp_path / "my phone", "a.wav", "b.m4a")).values()) == {"my phone"}


def test_files_beside_the_labelled_sub_folders_are_listed_not_lost(tmp_path: Path) -> None:
    found = {s.path: s.problem for s in scan(touch(tmp_path, "a.wav", "zebra/b.wav"))}
    assert found == {"a.wav": "no label", "zebra/b.wav": ""}


def test_hidden_apple_double_and_other_files_are_passed_over(tmp_path: Path) -> None:
    touch(
        tmp_path, "dog/a.wav", "dog/._a.wav", ".trash/b.wav", "dog/.c.wav", "dog/notes.txt", "dog/cover.jpg"
    )
    assert list(labels(tmp_path)) == ["dog/a.wav"]


def test_link_to_a_folder_above_ends(tmp_path: Path) -> None:
    touch(tmp_path, "dog/a.wav")
    try:
        (tmp_path / "dog" / "again").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not allow links")
    assert list(labels(tmp_path)) == ["dog/a.wav"]


def test_missing_folder_and_a_file_in_its_place_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        scan(tmp_path / "nothing")
    with pytest.raises(UserError, match="is a file"):
        scan(touch(tmp_path, "a.wav") / "a.wav")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_metadata_wins_over_folders(tmp_path: Path, encoding: str) -> None:
    touch(tmp_path, "dog/a.wav", "dog/b.wav", "c.wav")
    rows = listed(
        tmp_path, 'file_name,label,split\ndog/a.wav,"wolf, grey",test\nc.wav,лиса,\n', encoding=encoding
    )
    assert [(r.path, r.label, r.split) for r in rows] == [
        ("dog/a.wav", "wolf, grey", "test"),
        ("c.wav", "лиса", ""),
    ]


def test_listed_file_that_is_not_there_is_reported_missing(tmp_path: Path) -> None:
    (row,) = listed(tmp_path, "file_name,label\nnothing.wav,dog\n")
    assert (row.problem, row.size) == ("missing", -1)


def test_listed_names_are_found_in_other_spellings(tmp_path: Path) -> None:
    on_disk = unicodedata.normalize("NFD", "dog/hündin.wav")
    touch(tmp_path, on_disk)
    (row,) = listed(
        tmp_path, "file_name,label\n" + unicodedata.normalize("NFC", r"dog\hündin.wav") + ",dog\n"
    )
    assert row.problem == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the column 'file_name' is missing"),
        ("file_name\na.wav\n", "line 1: the column 'label' is missing"),
        ("file_name,label,splt\na.wav,dog,train\n", "line 1: unknown column 'splt'; did you mean 'split'"),
        ("file_name;label\na.wav;dog\n", "line 1: unknown column 'file_name;label'"),
        ("file_name,label,label\na.wav,dog,dog\n", "line 1: a column is there twice"),
        ("file_name,label\na.wav,dog\nb.wav,\n", "line 3: label is empty"),
        ("file_name,label\n,dog\n", "line 2: file_name is empty"),
        ("file_name,label,split\na.wav,dog,vald\n", "line 2: unknown split 'vald'; did you mean 'valid'"),
        ("file_name,label\na.wav,dog,cat\n", "line 2: has 3 cells"),
        ("file_name,label\na.wav,dog\na.wav,cat\n", "line 3: 'a.wav' is already listed on line 2"),
        ("file_name,label\n../a.wav,dog\n", "line 2: '../a.wav' must be a path inside"),
        ("file_name,label\n/a.wav,dog\n", "line 2: '/a.wav' must be a path inside"),
    ],
)
def test_mistakes_in_metadata_are_named_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    touch(tmp_path, "a.wav", "b.wav")
    with pytest.raises(UserError) as caught:
        listed(tmp_path, text)
    assert message in str(caught.value)


def test_metadata_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not UTF-8"):
        listed(tmp_path, "file_name,label\na.wav,Hähne\n", encoding="latin-1")


@pytest.mark.parametrize(
    ("stem", "source"),
    [
        ("1-4211-A", "1-4211"),
        ("1-100032-B-36", "1-100032"),
        ("bark (2)", "bark"),
        ("bark copy", "bark"),
        ("bark - Copy (3)", "bark"),
        ("bark_take3", "bark"),
        ("bark-part2", "bark"),
        ("bark-part2 copy", "bark"),
        ("video_02480", "video_02480"),
        ("New Recording 12", "New Recording 12"),
        ("copy", "copy"),
        ("(2)", "(2)"),
        ("sand-A", "sand-A"),
        ("xerox-photocopy", "xerox-photocopy"),
    ],
)
def test_marks_of_takes_and_copies_are_taken_off(stem: str, source: str) -> None:
    assert source_name(stem) == source


def test_source_column_joins_what_names_do_not(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.wav", "c.wav")
    a, b, c = listed(tmp_path, "file_name,label,source\na.wav,dog,tape 1\nb.wav,cat,tape 1\nc.wav,cat,\n")
    assert a.group == b.group != c.group


def test_a_link_to_itself_is_a_missing_file(tmp_path: Path) -> None:
    touch(tmp_path, "dog/a.wav")
    try:
        (tmp_path / "dog" / "b.wav").symlink_to("b.wav")
        (tmp_path / "dog" / "c").symlink_to("c")
    except OSError:
        pytest.skip("this system does not allow links")
    assert {source.path: source.problem for source in scan(tmp_path)} == {
        "dog/a.wav": "",
        "dog/b.wav": "missing",
    }


def test_a_file_called_work_beside_a_folder_called_sounds_is_no_report(tmp_path: Path) -> None:
    folder = tmp_path / "all" / "a"
    (folder / "sounds").mkdir(parents=True)
    (folder / "work").write_text("to do", encoding="utf-8")
    (folder / "sounds" / "a.wav").write_bytes(b"")
    assert [source.path for source in scan(tmp_path / "all")] == ["a/sounds/a.wav"]
