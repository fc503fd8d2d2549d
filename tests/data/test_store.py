"""A prepared data set is read through maps, by any process, and refused where it is not whole."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from made_sounds import save, sound
from melgpt.data.prepare import DataConfig, prepare
from melgpt.data.store import OPEN_SHARDS, Store
from melgpt.errors import UserError
from melgpt.types import MelScale


@pytest.fixture
def prepared(sounds: Path, tmp_path: Path) -> Path:
    """12 clips of 83 frames, one in each shard."""
    prepare(sounds, tmp_path / "out", DataConfig(shard_frames=83), MelScale())
    return tmp_path / "out"


def test_mels_are_read_only_views_into_the_file(prepared: Path) -> None:
    mel = Store.open(prepared).mel(3)
    assert isinstance(mel.base, np.memmap) or isinstance(mel, np.memmap)
    assert mel.flags.c_contiguous
    assert not mel.flags.writeable
    assert 0 <= mel.min() < mel.max() <= 1


def test_few_shards_stay_open_and_old_views_live_on(prepared: Path) -> None:
    store = Store.open(prepared)
    first = store.mel(0)
    copy = first.copy()
    for row in range(len(store)):
        store.mel(row)
    assert len(store._shards) == OPEN_SHARDS < 12
    np.testing.assert_array_equal(first, copy)
    np.testing.assert_array_equal(store.mel(0), copy)


def test_numbers_are_mapped_not_loaded(prepared: Path) -> None:
    store = Store.open(prepared)
    assert isinstance(store.frames, np.memmap)
    assert isinstance(store.label_ids, np.memmap)
    assert store.rows("train").dtype == np.int64


def test_pickled_store_carries_no_data(prepared: Path) -> None:
    store = Store.open(prepared)
    store.mel(0)
    text = pickle.dumps(store)
    assert len(text) < 1000
    np.testing.assert_array_equal(pickle.loads(text).mel(5), store.mel(5))


def test_unknown_split_names_the_nearest(prepared: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'valid'"):
        Store.open(prepared).rows("valdi")


def test_line_breaks_in_names_survive(tmp_path: Path) -> None:
    for number, name in enumerate(["one\ntwo.wav", "three.wav", "x,y.wav"]):
        try:
            save(tmp_path / "in/a" / name, sound(number))
        except (OSError, RuntimeError):
            pytest.skip("this file system does not allow line breaks in names")
    prepare(tmp_path / "in", tmp_path / "out", DataConfig(), MelScale())
    store = Store.open(tmp_path / "out")
    assert [store.clip(row).path for row in range(3)] == ["a/one\ntwo.wav", "a/three.wav", "a/x,y.wav"]


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        Store.open(tmp_path / "nothing")
    with pytest.raises(UserError, match="not a prepared data set"):
        Store.open(tmp_path)


def test_other_formats_and_lost_files_are_refused(prepared: Path) -> None:
    manifest = json.loads((prepared / "data.json").read_text(encoding="utf-8"))
    (prepared / "clips.csv").rename(prepared / "clips.bak")
    with pytest.raises(UserError, match=r"lacks clips\.csv"):
        Store.open(prepared)
    manifest["format"] = 99
    (prepared / "data.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="data format 99, this version reads 1"):
        Store.open(prepared)


def test_lost_shard_is_named(prepared: Path) -> None:
    (prepared / "shards/00002.f16").unlink()
    with pytest.raises(UserError, match=r"00002\.f16 cannot be read"):
        Store.open(prepared).mel(2)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 3])


@pytest.mark.parametrize("name", ["index.npy", "clips.csv", "audit.csv", "shards/00002.f16"])
@pytest.mark.parametrize("damage", [Path.unlink, _cut])
def test_a_damaged_set_is_prepared_again_as_it_was(
    sounds: Path, prepared: Path, name: str, damage: Callable[[Path], None]
) -> None:
    before = {path.name: path.read_bytes() for path in prepared.rglob("*") if path.is_file()}
    damage(prepared / name)
    prepare(sounds, prepared, DataConfig(shard_frames=83), MelScale())
    assert {path.name: path.read_bytes() for path in prepared.rglob("*") if path.is_file()} == before


def test_a_manifest_that_lacks_an_entry_is_damage(sounds: Path, prepared: Path) -> None:
    manifest = json.loads((prepared / "data.json").read_text())
    for name in ("key", "fingerprint", "labels"):
        (prepared / "data.json").write_text(json.dumps({k: v for k, v in manifest.items() if k != name}))
        if name != "key":
            with pytest.raises(UserError, match="prepare it again"):
                Store.open(prepared)
        assert len(prepare(sounds, prepared, DataConfig(shard_frames=83), MelScale()).labels) > 0


def test_a_shard_that_ends_inside_a_frame_is_refused(prepared: Path) -> None:
    _cut(prepared / "shards" / "00003.f16")
    with pytest.raises(UserError, match="prepare the data again"):
        Store.open(prepared).mel(3)
