"""What `prepare` makes of folders: classes without clips, own output, splits, one long recording."""

import json
from pathlib import Path

import numpy as np
import pytest

from made_sounds import RATE, save, sound
from melgpt.data import prepare as preparing
from melgpt.data.config import DataConfig
from melgpt.data.prepare import Prepared, is_current, prepare
from melgpt.data.store import MANIFEST, Store
from melgpt.errors import UserError
from melgpt.types import MelScale

SCALE = MelScale()


def run(source: Path, out: Path, **options: object) -> Prepared:
    return prepare(source, out, DataConfig.parse(options), SCALE, workers=1)


def clips(out: Path) -> list[tuple[str, str, str]]:
    store = Store.open(out)
    found = (store.clip(row) for row in range(len(store)))
    return [(clip.path, clip.label, clip.split) for clip in found]


def test_a_class_that_gives_no_clip_is_named_with_why_each_time(sounds: Path, tmp_path: Path) -> None:
    for number in range(3):
        save(sounds / f"quiet/{number}.wav", np.zeros(RATE, np.float32))
    (sounds / "quiet/a.wav").write_text("no sound")
    (sounds / "quiet/a.xyz").write_text("no sound")
    for _ in range(2):
        lines = run(sounds, tmp_path / "out").report()
        assert "class quiet gives no clip: 3 silent, 1 unreadable, 1 .xyz not looked at" in lines
        assert "not looked at: 1 .xyz" in lines
    lines = run(sounds, tmp_path / "some", only=["dog", "rain"]).report()
    assert not any("gives no clip" in line for line in lines)


def test_a_class_that_metadata_names_and_that_gives_no_clip_is_named(sounds: Path, tmp_path: Path) -> None:
    (sounds / "dog/a.wav").write_text("no sound")
    (sounds / "metadata.csv").write_text(
        "file_name,label\nrain/video_01.wav,rain\nrain/video_03.wav,rain\ndog/a.wav,wolf\nb.wav,wolf\n"
    )
    lines = run(sounds, tmp_path / "out").report()
    assert "class wolf gives no clip: 1 missing, 1 unreadable" in lines
    assert "not in metadata.csv: 10 .wav" in lines


def test_nothing_to_be_found_tells_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.xyz").write_text("no sound")
    with pytest.raises(UserError, match=r"no sound files found .*; not looked at: 1 \.xyz"):
        run(tmp_path / "in", tmp_path / "out")


def test_what_fails_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.wav").write_text("no sound")
    with pytest.raises(UserError, match="none of the 1"):
        run(tmp_path / "in", tmp_path / "new/deep/out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_set_below_its_sounds_stays_current_whatever_is_made_there(sounds: Path) -> None:
    first = run(sounds, sounds / "out")
    assert first.clips == 12
    save(sounds / "new/dog.wav", sound(99))
    (sounds / "new/dog.json").write_text(json.dumps({"seed": 0, "index": 0, "sampling": {}}))
    run(sounds, sounds / "second")
    assert is_current(sounds, sounds / "out", DataConfig(), SCALE)


def split_folders(folder: Path, *sides: str) -> Path:
    for seed, side in enumerate(sides):
        for number in range(4):
            for label in ("dog", "rain"):
                save(
                    folder / side / label / f"{number}.wav",
                    sound(100 * seed + 2 * number + (label == "dog"), 0.5),
                )
    return folder


def test_folders_of_a_split_give_it_and_their_classes(tmp_path: Path) -> None:
    split_folders(tmp_path / "in", "Train", "val", "test")
    result = run(tmp_path / "in", tmp_path / "out")
    assert result.labels == ("dog", "rain")
    assert result.splits == {"train": 8, "valid": 8, "test": 8}
    assert ("Train/dog/0.wav", "dog", "train") in clips(tmp_path / "out")
    assert any("taken as the split" in line for line in result.report())
    other = run(tmp_path / "in", tmp_path / "other", folder_split=False)
    assert len(other.labels) == 6


def test_validation_is_taken_from_training_where_only_tests_are_given(tmp_path: Path) -> None:
    split_folders(tmp_path / "in", "train", "test")
    result = run(tmp_path / "in", tmp_path / "out", valid_fraction=0.3)
    assert result.splits["test"] == 8
    assert result.splits["valid"] >= 1
    assert {label for _, label, side in clips(tmp_path / "out") if side == "train"} == {"dog", "rain"}
    assert any("no validation is given" in line for line in result.report())
    assert run(tmp_path / "in", tmp_path / "out", valid_fraction=0.3) == result


def test_metadata_with_training_and_tests_only_gets_a_validation(sounds: Path, tmp_path: Path) -> None:
    names = sorted(path.relative_to(sounds).as_posix() for path in sounds.rglob("*.wav"))
    rows = [f"{name},{name.split('/')[0]},{'test' if '1' in name else 'train'}" for name in names]
    (sounds / "metadata.csv").write_text("\n".join(["file_name,label,split", *rows]))
    result = run(sounds, tmp_path / "out")
    assert min(result.splits.values()) >= 1
    assert all(side == "test" for path, _, side in clips(tmp_path / "out") if "1" in path)


def test_one_long_recording_gives_its_last_tenth_to_validation(tmp_path: Path) -> None:
    save(tmp_path / "in/a/long.wav", sound(1, 10.0))
    result = run(tmp_path / "in", tmp_path / "out", clip_seconds=0.5)
    assert [side for _, _, side in clips(tmp_path / "out")] == ["train"] * 18 + ["valid"] * 2
    assert "one recording alone, so its end is the validation: a (2 of 20 clips)" in result.report()
    with pytest.raises(UserError, match=r"add a sound, or cut this one .* data\.clip_seconds"):
        run(tmp_path / "in", tmp_path / "whole")


def test_a_set_without_validation_of_an_older_version_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "in/a/long.wav", sound(1, 4.0))
    out = tmp_path / "out"
    monkeypatch.setattr(preparing, "SPLIT_RULES", 0)
    run(tmp_path / "in", out, clip_seconds=1)
    manifest = json.loads((out / MANIFEST).read_text())
    for name in ("split_rules", "notes", "without_clips"):
        del manifest[name]
    manifest["counts"]["splits"] = {"train": 4, "valid": 0, "test": 0}
    (out / MANIFEST).write_text(json.dumps(manifest))
    monkeypatch.undo()
    assert not is_current(tmp_path / "in", out, DataConfig(clip_seconds=1), SCALE)
    assert run(tmp_path / "in", out, clip_seconds=1).splits["valid"] == 1


def test_a_prepared_set_is_no_folder_of_sounds(sounds: Path, tmp_path: Path) -> None:
    run(sounds, tmp_path / "out")
    with pytest.raises(UserError, match="is a prepared data set already"):
        run(tmp_path / "out", tmp_path / "again")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/codec.safetensors").touch()
    with pytest.raises(UserError, match=r"is a model folder: give the folder of sounds"):
        run(tmp_path / "model", tmp_path / "again")


OPTIONS = {
    "clip_seconds": 10.0,
    "min_seconds": 0.2,
    "valid_fraction": 0.1,
    "silence_db": -60.0,
    "trim_silence": True,
    "clipped_fraction": 0.01,
    "near_duplicate": 0.85,
    "originals_length": False,
    "only": [],
    "valid_fold": 5,
    "test_fold": 0,
    "shard_frames": 1 << 19,
}
"""What the keys of the first data sets were made of, in this order."""


def test_options_that_came_later_change_no_key_at_their_default() -> None:
    config = DataConfig.parse(OPTIONS)
    assert json.dumps(config.identity()) == json.dumps(OPTIONS)
    assert config.changed(folder_split=False).identity() == {**OPTIONS, "folder_split": False}
