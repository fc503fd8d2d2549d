"""Batches follow from seed, epoch and place alone, and show what they are meant to show."""

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import MICRO
from made_sounds import save, sound
from melgpt.codec.codec import Codec
from melgpt.data.code_store import Augmentation, CodeStore, change_gain, encode_split, variant
from melgpt.data.config import DataConfig
from melgpt.data.prepare import prepare
from melgpt.data.store import Store
from melgpt.training.crops import MelCrops, WholeClips
from melgpt.training.recipe import Recipe
from melgpt.training.sequences import IGNORED, AllSequences, Sequences, collate
from melgpt.training.settings import CodecTraining, PriorTraining
from melgpt.types import MelScale

COLUMNS = 6


@pytest.fixture(scope="module")
def store(trained: Path) -> Store:
    return Store.open(trained / "data")


@pytest.fixture(scope="module")
def codec() -> Codec:
    torch.manual_seed(1)
    return Codec(Recipe.read(str(MICRO)).codec).eval()


@pytest.fixture(scope="module")
def codes(store: Store, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> CodeStore:
    folder = tmp_path_factory.mktemp("codes")
    return encode_split(
        codec, store, "train", folder, augment=Augmentation(variants=3), columns=COLUMNS, stamp="a"
    )


def test_crops_repeat_for_an_epoch_and_differ_between_epochs(store: Store) -> None:
    config = CodecTraining(crop_frames=32)
    first, again, other = (MelCrops(store, config, epoch, 8, token_frames=16) for epoch in (0, 0, 1))
    assert all(
        torch.equal(a, b)
        for a, b in zip((first[i] for i in range(8)), (again[i] for i in range(8)), strict=True)
    )
    assert not all(torch.equal(first[i], other[i]) for i in range(8))
    assert first[0].shape == (1, store.scale.n_mels, 32)
    assert all(float(first[i].min()) >= 0 and float(first[i].max()) <= 1 for i in range(8))


def test_crops_come_from_training_clips_alone(store: Store) -> None:
    crops = MelCrops(store, CodecTraining(crop_frames=32), 0, 64, token_frames=16)
    valid = set(store.rows("valid").tolist())
    assert not valid & set(crops.rows.tolist())


def test_one_shots_are_seen_in_maps_as_short_as_they_are(tmp_path: Path) -> None:
    lengths = (0.03, 0.05, 0.1, 0.35)
    for number, seconds in enumerate(lengths * 2):
        save(tmp_path / f"in/hat/{number}.wav", sound(number, seconds))
    prepare(tmp_path / "in", tmp_path / "data", DataConfig(), MelScale())
    store = Store.open(tmp_path / "data")
    config = CodecTraining(crop_frames=64, batch=4)
    crops = MelCrops(store, config, 0, 64 * config.batch, token_frames=16)
    sizes = []
    for first in range(0, len(crops), config.batch):
        batch = torch.stack([crops[first + i] for i in range(config.batch)])  # all of one size
        assert float(batch.amax((1, 2, 3)).min()) > 0
        sizes.append(batch.shape[-1])
    assert set(sizes) == {16, 32, 64}
    assert 16 < sizes.count(64) < 48
    long = MelCrops(store, config.changed(crop_frames=16), 0, 64, token_frames=16)
    assert {long[i].shape[-1] for i in range(64)} == {16}


def test_validation_clips_are_whole(store: Store) -> None:
    clips = WholeClips(store, multiple=16, most=100)
    assert len(clips) == len(store.rows("valid"))
    padded, frames = clips[0]
    row = int(store.rows("valid")[0])
    assert frames == store.frames[row]
    assert padded.shape[-1] % 16 == 0
    assert np.allclose(padded[0, :, :frames].T, store.mel(row).astype(np.float32))
    assert float(padded[0, :, frames:].abs().sum()) == 0


def test_gain_leaves_silence_silent(store: Store) -> None:
    mel = np.array([[0.0, 0.5, 0.95]], np.float32)
    louder = change_gain(mel, store.scale.gain(20.0))
    assert np.allclose(louder, [[0.0, 0.7, 1.0]])


def test_the_first_variant_is_the_clip_itself(store: Store) -> None:
    augment = Augmentation(variants=4)
    assert np.array_equal(variant(store, 0, 0, 16, augment), store.mel(0).astype(np.float32))
    versions = [variant(store, 0, n, 16, augment) for n in range(4)]
    assert np.array_equal(variant(store, 0, 2, 16, augment), versions[2])
    assert all(abs(len(v) - len(versions[0])) < 16 for v in versions)
    assert len({v.tobytes() for v in versions}) == 4


def test_short_sounds_end_and_long_ones_do_not(codes: CodeStore, store: Store, codec: Codec) -> None:
    end = codec.codebook_size
    most = COLUMNS * codec.config.rows
    kinds = set()
    for number in range(len(codes)):
        tokens, label = codes.sequence(number, end)
        ends = bool(codes.index[number]["ends"])
        kinds.add(ends)
        assert (int(tokens[-1]) == end) == ends
        assert len(tokens) == (min(len(tokens) - 1, most - 1) + 1 if ends else most)
        assert label == store.label_ids[codes.index[number]["row"]]
    assert kinds == {True, False}


def test_a_sound_that_goes_on_is_not_filled_with_silence(
    store: Store, codec: Codec, codes: CodeStore
) -> None:
    silence = codec.tokenize(torch.zeros(1, store.scale.n_mels, 16 * COLUMNS))[0]
    seen = 0
    for number in np.flatnonzero(~codes.index["ends"] & (codes.index["variant"] == 0)):
        row = int(codes.index[number]["row"])
        mel = store.mel(row)[: 16 * COLUMNS].astype(np.float32)
        if len(mel) % 16 == 0 or (mel[-1] == 0).any():
            continue
        last = codes.sequence(int(number), 16)[0][-codec.config.rows :]
        mirrored = np.pad(mel, ((0, 16 * COLUMNS - len(mel)), (0, 0)), mode="reflect")
        wanted = codec.tokenize(torch.from_numpy(mirrored.T.copy())[None])[0, :, -1]
        assert torch.equal(last, wanted)
        assert not torch.equal(last, silence[:, -1])
        seen += 1
    assert seen > 0


def test_codes_are_kept_until_what_they_are_made_from_changes(
    store: Store, codec: Codec, tmp_path: Path
) -> None:
    arguments = {"augment": Augmentation(variants=1), "columns": COLUMNS}
    encode_split(codec, store, "valid", tmp_path / "v", stamp="a", **arguments)
    before = (tmp_path / "v" / "tokens.i4").stat().st_mtime_ns
    encode_split(codec, store, "valid", tmp_path / "v", stamp="a", **arguments)
    assert (tmp_path / "v" / "tokens.i4").stat().st_mtime_ns == before
    assert CodeStore.open(tmp_path / "v", "b") is None
    (tmp_path / "v" / "stamp").unlink()
    assert CodeStore.open(tmp_path / "v", "a") is None, "a half-written store must not be used"


def test_classes_can_be_left_out_and_numbered_otherwise(codes: CodeStore) -> None:
    labels = codes.index["label"]
    some = codes.of_classes({2: 0, 0: 5})
    assert set(labels) > {0, 2}
    assert len(some) == int(np.isin(labels, [0, 2]).sum())
    assert some.index["label"].tolist() == [5 if label == 0 else 0 for label in labels if label in (0, 2)]
    first = int(np.flatnonzero(np.isin(labels, [0, 2]))[0])
    assert torch.equal(some.sequence(0, None)[0], codes.sequence(first, None)[0])
    assert (codes.index["label"] == labels).all()


def test_sequences_are_balanced_over_classes(codes: CodeStore, codec: Codec) -> None:
    sequences = Sequences(codes, PriorTraining(), rows=codec.config.rows, end=16, epoch=0, length=800)
    labels = np.array([sequences[i][1] for i in range(800)])
    share = np.bincount(labels, minlength=8) / 800
    assert share.min() > 0.5 / 8


def test_only_whole_length_sequences_are_rolled_and_by_whole_columns(codes: CodeStore, codec: Codec) -> None:
    rows = codec.config.rows
    known = {tuple(codes.sequence(i, 16)[0].tolist()) for i in range(len(codes))}
    sequences = Sequences(codes, PriorTraining(roll=1.0), rows=rows, end=16, epoch=0, length=60)
    rolled = 0
    for i in range(60):
        tokens = sequences[i][0]
        if tuple(tokens.tolist()) in known:
            continue
        rolled += 1
        assert 16 not in tokens
        turns = {tuple(tokens.roll(rows * k).tolist()) for k in range(COLUMNS)}
        assert turns & known
    assert rolled > 0


def test_padding_does_not_count(codes: CodeStore) -> None:
    items = [AllSequences(codes, 16)[i] for i in range(len(codes))]
    targets, labels = collate(items)
    assert targets.shape == (len(items), max(len(t) for t, _ in items))
    for row, (tokens, label) in enumerate(items):
        assert torch.equal(targets[row, : len(tokens)], tokens)
        assert (targets[row, len(tokens) :] == IGNORED).all()
        assert labels[row] == label


@pytest.mark.parametrize("clip_seconds", [1.0, 0.12])
def test_one_shots_end_and_are_neither_rolled_nor_mirrored(
    codec: Codec, tmp_path: Path, clip_seconds: float
) -> None:
    """Sounds of 0.12 s on 11 of the 16 frames of a column: pieces of longer ones only if they were cut so."""
    for number in range(4):
        save(tmp_path / f"in/hat/{number}.wav", sound(number, 0.12))
    prepare(tmp_path / "in", tmp_path / "data", DataConfig(clip_seconds=clip_seconds), MelScale())
    store, cut = Store.open(tmp_path / "data"), clip_seconds == 0.12
    arguments = {"augment": Augmentation(variants=1), "columns": 1, "stamp": "a"}
    codes = encode_split(codec, store, "train", tmp_path / "codes", **arguments)
    assert set(codes.index["ends"].tolist()) == {not cut}
    row = int(codes.index[0]["row"])
    plain = codec.tokenize(store.values(row)[None])[0].flatten()
    assert torch.equal(codes.sequence(0, None)[0], plain) != cut


def test_short_one_shots_are_not_moved_in_time(codec: Codec, tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"in/hat/{number}.wav", sound(number, 0.3))
    prepare(tmp_path / "in", tmp_path / "data", DataConfig(clip_seconds=1.0), MelScale())
    store, augment = Store.open(tmp_path / "data"), Augmentation(variants=4, gain_db=0)
    codes = encode_split(codec, store, "train", tmp_path / "c", augment=augment, columns=9, stamp="a")
    for number in range(0, len(codes), 4):
        first, *others = (codes.sequence(number + n, None)[0] for n in range(4))
        assert all(torch.equal(first, other) for other in others)
