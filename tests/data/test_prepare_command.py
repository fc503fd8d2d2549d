"""`melgpt prepare`: summary, options and exit codes."""

import argparse
from pathlib import Path

import pytest

from melgpt.commands import prepare as command
from melgpt.data.store import Store
from melgpt.errors import UserError


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def test_summary_says_what_there_is_and_what_was_left_out(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sounds / "dog/letter.wav").write_text("not a sound")
    assert run(sounds, tmp_path / "out") == 0
    said = capsys.readouterr().err
    assert "12 clips, 12 s, 2 classes" in said
    assert "left out: 1 unreadable" in said
    assert str(tmp_path / "out" / "audit.csv") in said


def test_strict_fails_where_something_was_left_out(sounds: Path, tmp_path: Path) -> None:
    assert run(sounds, tmp_path / "out", "--strict") == 0
    (sounds / "dog/letter.wav").write_text("not a sound")
    assert run(sounds, tmp_path / "out", "--strict") == 2


def test_options_and_mel_preset_reach_the_data_set(sounds: Path, tmp_path: Path) -> None:
    assert run(sounds, tmp_path / "out", "data.clip_seconds=0.5", "--mel", "hifigan", "--workers", "1") == 0
    store = Store.open(tmp_path / "out")
    assert (len(store), store.scale.f_max) == (24, 8000.0)


def test_auto_takes_the_preset_that_holds_the_sounds(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(sounds, tmp_path / "out", "--mel", "auto") == 0
    assert Store.open(tmp_path / "out").scale.f_max > 7600
    said = capsys.readouterr().err
    assert "would lose" in said
    assert "to keep it" not in said
    assert run(sounds, tmp_path / "again", "mel.preset=auto", "mel.n_mels=96") == 0
    assert Store.open(tmp_path / "again").scale.n_mels == 96


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["clip_second=5"], "did you mean 'clip_seconds'"),
        (["clip_seconds=0.005"], "must not exceed clip_seconds"),
        (["--mel", "hifigam"], "did you mean 'hifigan'"),
        (["mel=wide"], "mel is a table of options"),
        (["mel.preset=hifigan", "--mel", "wide"], "say the same thing: leave one out"),
        (["--workers", "0"], "at least 1"),
        (["nonsense"], "not of the form key=value"),
    ],
)
def test_mistakes_are_named_before_any_work(
    sounds: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(sounds, tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", [".", "", "..", "/"])
def test_the_current_folder_is_no_place_for_a_data_set(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match="choose a folder inside it, such as data"):
        run(sounds, out)
    assert not list((tmp_path / "here").iterdir())


def test_a_set_that_is_made_anew_is_named(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(sounds, tmp_path / "out")
    assert "made anew" not in capsys.readouterr().err
    run(sounds, tmp_path / "out")
    assert "made anew" not in capsys.readouterr().err
    run(sounds, tmp_path / "out", "clip_seconds=0.5")
    assert f"{tmp_path / 'out'}: was prepared from other files" in capsys.readouterr().err
