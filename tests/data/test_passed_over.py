"""What is not learnt from: other files, counted, and this program's own output, named."""

import json
from pathlib import Path

import pytest

from made_sounds import save, sound
from melgpt.data.passed_over import MOST, PassedOver
from melgpt.data.scan import scan

HOW = {"label": "dog", "seed": 0, "index": 0, "sampling": {}, "model": {"codec": "0123"}, "melgpt": "0.1.0"}


def look(folder: Path, *results: Path) -> tuple[list[str], list[str]]:
    """Paths of the sounds that are taken, and the lines on what is not."""
    passed = PassedOver(results)
    return sorted(source.path for source in scan(folder, passed)), passed.lines()


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """A class of two files, which need not be sounds."""
    touch(tmp_path / "in", "dog/a.wav", "dog/b.wav")
    return tmp_path / "in"


TAKEN = ["dog/a.wav", "dog/b.wav"]


def test_other_files_are_counted_by_suffix_in_one_line(dogs: Path) -> None:
    touch(dogs, "dog/a.xyz", "dog/b.XYZ", "dog/README", "cover.jpg")
    touch(dogs, "dog/.hidden", "dog/Thumbs.db", "__MACOSX/dog/._a.wav", "dog/metadata.csv")
    assert look(dogs) == (TAKEN, ["not looked at: 2 .xyz, 1 without a suffix, 1 .jpg"])


def test_a_type_script_is_passed_over_and_a_transport_stream_is_taken(dogs: Path) -> None:
    (dogs / "dog/c.ts").write_text("export const a = 1;\n" * 99)
    (dogs / "dog/d.ts").write_bytes((b"\x47" + bytes(187)) * 9)
    assert look(dogs) == ([*TAKEN, "dog/d.ts"], ["not looked at: 1 .ts"])


def test_sounds_without_a_suffix_are_found_by_their_first_bytes(dogs: Path) -> None:
    save(dogs / "dog/c.wav", sound(1)).rename(dogs / "dog/kick.01")
    assert look(dogs) == ([*TAKEN, "dog/kick.01"], [])


def test_a_class_without_sounds_is_named_with_what_is_in_it(dogs: Path) -> None:
    touch(dogs, "rain/a.xyz", "wind/deep/a.xyz")
    (dogs / "fire").mkdir()
    lines = look(dogs)[1]
    assert lines[1:] == [
        "class fire gives no clip: its folder is empty",
        "class rain gives no clip: 1 .xyz not looked at",
        "class wind/deep gives no clip: 1 .xyz not looked at",
    ]


def test_many_classes_without_clips_take_few_lines() -> None:
    lines = PassedOver().lines({f"{number:03d}": {"silent": 3} for number in range(100)})
    assert lines[0] == "class 000 gives no clip: 3 silent"
    assert lines[MOST:] == [f"{100 - MOST} more classes give no clip"]


def test_a_pipe_is_not_waited_for(dogs: Path) -> None:
    import os

    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes in folders")
    os.mkfifo(dogs / "dog/pipe")
    assert look(dogs) == (TAKEN, ["not looked at: 1 without a suffix"])


def test_new_sounds_with_their_pictures_are_left_out_and_recordings_beside_them_stay(dogs: Path) -> None:
    for folder in ("new", "dog"):
        touch(dogs, f"{folder}/dog_seed0_000.wav", f"{folder}/dog_seed0_000.png")
        (dogs / folder / "dog_seed0_000.json").write_text(json.dumps(HOW))
    touch(dogs, "new/a_to_b.png")
    assert look(dogs) == (TAKEN, ["left out, made by this program: dog (1 sound), new (1 sound)"])


@pytest.mark.parametrize(
    "text", ['{"id": 12, "license": "CC0"}', '{"model": "Zoom H4n"}', "[1]", "no JSON", ""]
)
def test_a_persons_own_json_beside_a_sound_leaves_it_in(dogs: Path, text: str) -> None:
    (dogs / "dog/a.json").write_text(text)
    assert look(dogs) == (TAKEN, ["not looked at: 1 .json"])


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("recipe.toml", "codec.safetensors", "data/data.json", "x.wav"), "model"),
        (("codec.safetensors", "vocoder.safetensors", "x.wav"), "model"),
        (("figures.json", "data.partial/x.wav"), "model"),
        (("data.json", "index.npy", "x.wav"), "data set"),
        (("journal.sqlite", "shards/x.wav"), "data set"),
        (("report.html", "report.json", "sounds/00_real/000.ogg"), "report"),
        (("work/codes/x", "sounds/00_real/000.ogg"), "report"),
        (("corpus/.complete", "corpus/bell/x.wav", "model/recipe.toml"), "demo"),
    ],
)
def test_folders_of_this_program_are_left_out(dogs: Path, names: tuple[str, ...], kind: str) -> None:
    touch(dogs, *(f"deep/run/{name}" for name in names))
    assert look(dogs) == (TAKEN, [f"left out, made by this program: deep/run ({kind})"])


def test_where_the_result_is_written_to_is_not_looked_into(dogs: Path) -> None:
    touch(dogs, "run/x.wav")
    assert look(dogs, dogs / "run") == (TAKEN, ["left out, made by this program: run (--out)"])
    assert look(dogs / "run", dogs)[0] == ["x.wav"]


def test_folders_with_similar_files_are_classes(dogs: Path) -> None:
    touch(dogs, "data/a.wav", "report/report.json", "report/a.wav", "model/recipe.toml", "model/a.wav")
    assert look(dogs)[0] == ["data/a.wav", *TAKEN, "model/a.wav", "report/a.wav"]


def test_sounds_that_a_table_does_not_name_are_counted(dogs: Path) -> None:
    (dogs / "metadata.csv").write_text("file_name,label\ndog/a.wav,dog\n")
    touch(dogs, "dog/c.flac", "dog/notes.txt")
    assert look(dogs) == (["dog/a.wav"], ["not in metadata.csv: 1 .flac, 1 .wav"])
