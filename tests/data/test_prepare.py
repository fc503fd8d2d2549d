"""A folder becomes a data set: content, audit, resuming, replacing, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from made_sounds import RATE, save, sound
from melgpt.audio.io import read
from melgpt.audio.mel import analyse
from melgpt.data import decode as decoding
from melgpt.data.audit import AuditRow
from melgpt.data.journal import JOURNAL, Journal
from melgpt.data.pieces import Pieces
from melgpt.data.prepare import DataConfig, Prepared, is_current, prepare
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.types import MelScale

Content = Callable[[Path], dict[str, bytes]]
SCALE = MelScale()


def run(source: Path, out: Path, workers: int = 1, **options: float) -> Prepared:
    return prepare(source, out, DataConfig.parse(options), SCALE, workers=workers)


def reasons(result: Prepared) -> dict[str, tuple[str, str]]:
    return {row.file: (row.reason, row.action) for row in result.audit}


def sides(out: Path) -> dict[str, str]:
    store = Store.open(out)
    return {store.clip(row).path: store.clip(row).split for row in range(len(store))}


def test_mels_labels_and_texts_are_those_of_the_files(sounds: Path, tmp_path: Path) -> None:
    result = run(sounds, tmp_path / "out")
    store = Store.open(tmp_path / "out")
    assert (result.clips, result.labels, store.scale) == (12, ("dog", "rain"), SCALE)
    assert result.audit == []
    for row in range(12):
        clip = store.clip(row)
        assert clip.label == store.labels[store.label_ids[row]] == clip.path.split("/")[0]
        expected = analyse(read(sounds / clip.path, SCALE.rate), SCALE).values[0].T
        assert store.mel(row).dtype == np.float16
        assert store.frames[row] == len(expected)
        torch.testing.assert_close(torch.tensor(store.mel(row)).float(), expected, atol=5e-4, rtol=0)
    assert sum(len(store.rows(split)) for split in ("train", "valid", "test")) == 12
    assert len(store.rows("valid")) >= 1


def test_long_files_are_cut_and_short_ones_keep_their_length(tmp_path: Path) -> None:
    save(tmp_path / "in/a/long.wav", sound(1, 5.1))
    save(tmp_path / "in/a/short.wav", sound(2, 0.7))
    run(tmp_path / "in", tmp_path / "out", clip_seconds=2)
    store = Store.open(tmp_path / "out")
    clips = [store.clip(row) for row in range(len(store))]
    assert [(c.path, c.start, round(c.seconds, 3)) for c in clips] == [
        ("a/long.wav", 0, 2),
        ("a/long.wav", 2, 2),
        ("a/long.wav", 4, 1.1),
        ("a/short.wav", 0, 0.7),
    ]
    assert len({c.split for c in clips[:3]}) == 1
    assert len({c.id for c in clips}) == 4


def test_rest_shorter_than_the_least_is_dropped(tmp_path: Path) -> None:
    save(tmp_path / "in/a/long.wav", sound(1, 4.1))
    assert run(tmp_path / "in", tmp_path / "out", clip_seconds=2).clips == 2


def test_audit_lists_each_fault_with_its_reason(sounds: Path, tmp_path: Path) -> None:
    dog = sounds / "dog"
    save(dog / "silent.wav", 1e-4 * sound(50))
    save(dog / "short.wav", sound(51, 0.1))
    (dog / "letter.wav").write_text("not a sound" * 100)
    (dog / "empty.mp3").touch()
    cut = save(dog / "truncated.wav", sound(52))
    cut.write_bytes(cut.read_bytes()[:20000])
    integers, rate = soundfile.read(dog / "video_00.wav", dtype="int16")
    save(dog / "z copied.flac", integers, rate)
    save(dog / "z louder.wav", 1.5 * sound(2))
    save(dog / "clipped.wav", np.clip(8 * sound(53), -1, 1))
    result = run(sounds, tmp_path / "out")
    assert reasons(result) == {
        "dog/silent.wav": ("silent", "left out"),
        "dog/short.wav": ("too short", "left out"),
        "dog/letter.wav": ("unreadable", "left out"),
        "dog/empty.mp3": ("unreadable", "left out"),
        "dog/truncated.wav": ("truncated", "left out"),
        "dog/z copied.flac": ("exact duplicate", "left out"),
        "dog/z louder.wav": ("near duplicate", "kept"),
        "dog/clipped.wav": ("clipped", "kept"),
    }
    details = {row.file: row.detail for row in result.audit}
    assert "dog/video_00.wav" in details["dog/z copied.flac"]
    assert "dog/video_02.wav" in details["dog/z louder.wav"]
    assert not any(str(tmp_path) in row.detail for row in result.audit)
    assert (result.clips, result.files_left_out) == (14, 6)
    assert result.reasons()["unreadable"] == 2


def test_silent_piece_of_a_long_file_is_left_out_alone(tmp_path: Path) -> None:
    parts = [sound(1, 2.0), np.zeros(2 * RATE, np.float32), sound(2, 2.0)]
    save(tmp_path / "in/a/long.wav", np.concatenate(parts))
    result = run(tmp_path / "in", tmp_path / "out", clip_seconds=2)
    assert result.clips == 2
    assert [(row.start, row.reason) for row in result.audit] == [(2.0, "silent")]


def test_near_duplicates_are_on_one_side(sounds: Path, tmp_path: Path) -> None:
    for number in range(0, 12, 2):
        save(sounds / "dog" / f"other name {number}.wav", 0.4 * sound(number))
    run(sounds, tmp_path / "out", valid_fraction=0.4)
    found = sides(tmp_path / "out")
    for number in range(0, 12, 2):
        assert found[f"dog/other name {number}.wav"] == found[f"dog/video_{number:02d}.wav"]


def test_metadata_decides_labels_split_and_what_is_used(sounds: Path, tmp_path: Path) -> None:
    (sounds / "metadata.csv").write_text(
        "file_name,label,split\ndog/video_00.wav,лай,test\ndog/video_02.wav,лай,train\n"
        "rain/video_01.wav,дождь,valid\nrain/nothing.wav,дождь,\n",
        encoding="utf-8",
    )
    result = run(sounds, tmp_path / "out")
    assert result.labels == ("дождь", "лай")
    assert sides(tmp_path / "out") == {
        "dog/video_00.wav": "test",
        "dog/video_02.wav": "train",
        "rain/video_01.wav": "valid",
    }
    assert reasons(result) == {"rain/nothing.wav": ("missing", "left out")}


def test_result_is_the_same_bytes_with_any_number_of_threads(
    sounds: Path, tmp_path: Path, content: Content
) -> None:
    (sounds / "dog/broken.wav").write_bytes(b"RIFF")
    run(sounds, tmp_path / "one", workers=1, shard_frames=200)
    run(sounds, tmp_path / "two", workers=2, shard_frames=200)
    one = content(tmp_path / "one")
    assert one == content(tmp_path / "two")
    assert len([name for name in one if name.startswith("shards/")]) > 3


def test_stopped_run_goes_on_and_ends_with_the_same_bytes(
    sounds: Path, tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def stopping(*args: object) -> Pieces:
        if len(decoded) == 5:
            raise KeyboardInterrupt
        decoded.append(str(args[-1]))
        return decoding.cut(args[0], args[-1], *args[1:-1])  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "cut_file", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(sounds, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with open(tmp_path / "out.partial/shards/00000.f16", "ab") as shard:
        shard.write(b"bytes that were never committed")
    (tmp_path / "out.partial/shards/00001.f16").write_bytes(b"nor these")
    decoded.append("one more, so that it does not stop again")
    result = run(sounds, tmp_path / "out")
    assert result.clips == 12
    assert len(decoded) == 5 + 1 + 7
    assert not (tmp_path / "out.partial").exists()
    monkeypatch.undo()
    run(sounds, tmp_path / "undisturbed")
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")


def test_finished_set_is_returned_without_work(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(sounds, tmp_path / "out")
    assert is_current(sounds, tmp_path / "out", DataConfig(), SCALE)
    monkeypatch.setattr(decoding, "cut_file", None)
    assert run(sounds, tmp_path / "out") == first


@pytest.mark.parametrize("what", ["file added", "file changed", "options", "scale", "gone"])
def test_change_makes_a_set_outdated(sounds: Path, tmp_path: Path, what: str) -> None:
    run(sounds, tmp_path / "out")
    config, scale, out = DataConfig(), SCALE, tmp_path / "out"
    if what == "file added":
        save(sounds / "dog/new.wav", sound(77))
    elif what == "file changed":
        save(sounds / "dog/video_00.wav", sound(77, 1.5))
    elif what == "options":
        config = DataConfig(clip_seconds=5)
    elif what == "scale":
        scale = MelScale.preset("hifigan")
    else:
        out = tmp_path / "elsewhere"
    assert not is_current(sounds, out, config, scale)


def test_rebuilt_set_keeps_the_side_of_known_files_and_changes_its_fingerprint(
    sounds: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(sounds, out, valid_fraction=0.5)
    before, fingerprint = sides(out), Store.open(out).fingerprint
    for number in range(20, 30):
        save(sounds / "dog" / f"video_{number}.wav", sound(number))
    run(sounds, out, valid_fraction=0.05)
    after = sides(out)
    assert {path: after[path] for path in before} == before
    assert len(after) == 22
    assert Store.open(out).fingerprint != fingerprint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "sounds"]


def test_kill_between_the_two_renames_loses_nothing(sounds: Path, tmp_path: Path, content: Content) -> None:
    out = tmp_path / "out"
    run(sounds, out)
    before = content(out)
    out.rename(tmp_path / "out.old")
    run(sounds, out)
    assert content(out) == before
    assert not (tmp_path / "out.old").exists()


def test_formats_rates_and_names_of_all_kinds_go_in(tmp_path: Path) -> None:
    folder = tmp_path / "мои звуки" / "kinds of, sound"
    save(folder / "a b.wav", sound(1), subtype="PCM_24")
    save(folder / "犬.flac", sound(2), 8000)
    save(folder / 'comma, "quote".ogg', sound(3), 48000, subtype="VORBIS")
    save(folder / "e.mp3", np.stack([sound(4), sound(4)], 1), 44100, subtype="MPEG_LAYER_III")
    save(folder / "f.wav", sound(5), 96000, subtype="FLOAT")
    result = run(folder.parent, tmp_path / "out")
    store = Store.open(tmp_path / "out")
    assert (result.clips, result.labels) == (5, ("kinds of, sound",))
    assert {store.clip(row).path.rpartition("/")[2] for row in range(5)} == {p.name for p in folder.iterdir()}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_folder_with_too_little_is_refused_with_numbers_and_reason(tmp_path: Path, count: int) -> None:
    source = tmp_path / "in"
    source.mkdir()
    messages = ["no sound files found", "none of the 1 sound files can be used", "at least 2 are needed"]
    if count:
        (source / "dog").mkdir()
        (source / "dog/letter.wav").write_text("not a sound")
    if count == 2:
        save(source / "dog/only.wav", sound(1))
    with pytest.raises(UserError, match=messages[count]) as caught:
        run(source, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert count == 0 or "dog/letter.wav: unreadable" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_work_folder_for_other_options_does_not_stay_beside_a_finished_set(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(*_: object) -> Pieces:
        raise KeyboardInterrupt

    run(sounds, tmp_path / "out")
    monkeypatch.setattr(decoding, "cut_file", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(sounds, tmp_path / "out", clip_seconds=2.0)
    with Journal.open(tmp_path / "out.partial" / JOURNAL):
        run(sounds, tmp_path / "out")
        assert (tmp_path / "out.partial").exists(), "another prepare is at work in it"
    run(sounds, tmp_path / "out")
    assert not (tmp_path / "out.partial").exists()


def test_what_is_not_a_data_set_is_never_replaced(sounds: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not a prepared data set"):
        run(sounds, tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "out.partial")
    with pytest.raises(UserError, match="in the way"):
        run(sounds, tmp_path / "out")
    assert (tmp_path / "out.partial/thesis.txt").read_text() == "precious"
    with pytest.raises(UserError, match="not a prepared data set"):
        run(sounds, sounds)


def test_two_runs_at_a_time_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def second(*args: object) -> Pieces:
        with pytest.raises(UserError, match="another prepare is at work"):
            Journal.open(tmp_path / "out.partial" / JOURNAL)
        return Pieces(findings=[AuditRow(str(args[-1]), 0.0, "silent", "left out", "")])

    monkeypatch.setattr(decoding, "cut_file", second)
    save(tmp_path / "one/a.wav", sound(1))
    with pytest.raises(UserError, match="none of the 1"):
        run(tmp_path / "one", tmp_path / "out")


def test_real_clips_keep_their_sources_on_one_side(esc10: Path, tmp_path: Path) -> None:
    names = ["1-17808-A", "1-17808-B", "2-28314-A", "2-28314-B", "2-30322-A", "2-30322-B", "2-18766-A"]
    for name in names:
        samples, rate = soundfile.read(next(esc10.glob(f"*/{name}.ogg")))
        save(tmp_path / "in/fire" / f"{name}.wav", samples, rate)
    result = run(tmp_path / "in", tmp_path / "out", valid_fraction=0.5)
    found = {path[5:-4]: side for path, side in sides(tmp_path / "out").items()}
    assert found["1-17808-A"] == found["1-17808-B"]
    assert len({found[name] for name in names[2:6]}) == 1
    assert "fire/2-30322-A.wav" in reasons(result)


@pytest.mark.parametrize("trim", [True, False])
def test_long_silence_around_a_sound_is_taken_away(tmp_path: Path, trim: bool) -> None:
    quiet = np.zeros(22050, np.float32)
    for name in ("a", "b"):
        save(tmp_path / f"in/a/{name}.wav", np.concatenate([quiet, sound(ord(name), 0.5), quiet, quiet]))
    run(tmp_path / "in", tmp_path / "out", trim_silence=trim)
    clip = Store.open(tmp_path / "out").clip(0)
    if trim:
        assert clip.start == pytest.approx(0.9, abs=0.05)
        assert clip.seconds == pytest.approx(0.7, abs=0.05)
    else:
        assert (clip.start, clip.seconds) == (0, 3.5)
