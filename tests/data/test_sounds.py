"""The sounds behind a prepared data set: the very ones its mels were taken from, or a clear word."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from melgpt.audio.io import read, write
from melgpt.audio.mel import analyse
from melgpt.data.config import DataConfig
from melgpt.data.prepare import prepare
from melgpt.data.sounds import Sounds
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.types import Audio, MelScale


@pytest.fixture
def source(corpus: Path, tmp_path: Path) -> Path:
    """Two classes of the corpus; one file begins with silence that is cut off, and one is cut in two."""
    folder = tmp_path / "source"
    for label in sorted(p for p in corpus.iterdir() if p.is_dir())[:2]:
        shutil.copytree(label, folder / label.name)
    first, second = sorted(folder.rglob("*.wav"))[:2]
    for path, change in ((first, (0.7, 1)), (second, (0.0, 3))):
        audio = read(path)
        silence = torch.zeros(1, round(change[0] * audio.rate))
        write(path, Audio(torch.cat([silence, audio.samples.repeat(1, change[1])], 1), audio.rate))
    return folder


@pytest.fixture
def store(source: Path, tmp_path: Path) -> Store:
    prepare(source, tmp_path / "data", DataConfig(clip_seconds=1.0), MelScale(), workers=1)
    return Store.open(tmp_path / "data")


def test_their_mels_are_those_of_the_data_set(store: Store, tmp_path: Path) -> None:
    sounds = Sounds.open(store, tmp_path / "sounds")
    assert any(store.clip(row).start > 0 for row in range(len(store)))
    for row in (*store.rows("train"), *store.rows("valid")):
        samples = sounds.samples(int(row))
        mel = analyse(Audio(torch.from_numpy(samples)[None], store.scale.rate), store.scale).values[0]
        known = store.mel(int(row)).astype(np.float32).T
        assert mel.shape == known.shape
        assert np.abs(mel.numpy() - known).mean() < 5e-3


def test_a_part_may_begin_before_a_sound_and_end_behind_it(store: Store, tmp_path: Path) -> None:
    sounds, row = Sounds.open(store, tmp_path / "sounds"), int(store.rows("train")[0])
    whole = sounds.samples(row)
    part = sounds.part(row, -10, len(whole) + 30)
    assert np.array_equal(part[10:-20], whole)
    assert not part[:10].any()
    assert not part[-20:].any()
    assert not sounds.part(row, len(whole) + 5, 7).any()
    assert not sounds.part(row, -20, 7).any()


def test_they_are_read_once(store: Store, source: Path, tmp_path: Path) -> None:
    first = Sounds.open(store, tmp_path / "sounds").samples(int(store.rows("train")[0]))
    shutil.rmtree(source)
    again = Sounds.open(store, tmp_path / "sounds").samples(int(store.rows("train")[0]))
    assert np.array_equal(first, again)


def test_sources_that_are_gone_are_named(store: Store, source: Path, tmp_path: Path) -> None:
    shutil.rmtree(source)
    with pytest.raises(UserError, match=r"cannot be read: no such sound file.*vocoder_file=PATH"):
        Sounds.open(store, tmp_path / "sounds")
    assert not list(tmp_path.glob("sounds/*.json"))


def test_another_sound_under_the_same_name_is_noticed(store: Store, source: Path, tmp_path: Path) -> None:
    for path in source.rglob("*.wav"):
        audio = read(path)
        write(path, Audio(audio.samples.flip(-1), audio.rate))
    with pytest.raises(UserError, match="is not the sound"):
        Sounds.open(store, tmp_path / "sounds")
