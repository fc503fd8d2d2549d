"""Features beside a prepared data set."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from melgpt.data.config import DataConfig
from melgpt.data.features import FeatureStore, attach_features, in_folder, read_joined
from melgpt.data.prepare import prepare
from melgpt.data.store import Store, is_whole
from melgpt.errors import UserError
from melgpt.types import Clip, MelScale

RATE = 21.5


def features(seed: int, frames: int = 22, depth: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, depth)).astype(np.float32)


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(values))
    return path


@pytest.fixture
def data(sounds: Path, tmp_path: Path) -> Path:
    prepare(sounds, tmp_path / "data", DataConfig(clip_seconds=0.6, min_seconds=0.2), MelScale(), workers=1)
    return tmp_path / "data"


@pytest.fixture
def videos(sounds: Path, tmp_path: Path) -> Path:
    for number, sound in enumerate(sorted(sounds.rglob("*.wav"))):
        for i, kind in enumerate(("rgb", "flow")):
            place = tmp_path / "videos" / sound.parent.name / f"feature_{kind}_dim4_21.5fps"
            save(place / f"{sound.stem}.pkl", features(2 * number + i))
    return tmp_path / "videos"


def test_a_clip_has_the_frames_beside_its_sound(data: Path, videos: Path) -> None:
    stored, store = attach_features(data, in_folder(videos), dtype="float32"), Store.open(data)
    assert (len(stored), stored.depth) == (len(store), 8)
    later = 0
    for row in range(len(store)):
        clip = store.clip(row)
        whole = read_joined(in_folder(videos)(clip))
        first = round(clip.start * RATE)
        later += first > 0
        assert np.array_equal(stored.clip(row), whole[first : first + round(clip.seconds * RATE)])
    assert later > 0


def test_rgb_comes_before_flow(videos: Path) -> None:
    label = sorted(p.name for p in videos.iterdir())[0]
    stem = next(videos.rglob(f"{label}/*rgb*/*.pkl")).stem
    clip = Clip("a", f"{label}/{stem}.wav", label, 0.0, 1.0, "train")
    found = in_folder(videos)(clip)
    assert [path.parent.name.split("_")[1] for path in found] == ["rgb", "flow"]
    assert [path.parent.name.split("_")[1] for path in in_folder(videos, ["flow"])(clip)] == ["flow"]


def test_suffixes_count_in_any_case_and_hidden_files_do_not(tmp_path: Path) -> None:
    path = save(tmp_path / "feature_rgb" / "video_1.pkl", features(1))
    upper = path.rename(path.with_suffix(".PKL"))
    (path.parent / "._video_1.pkl").write_text("hidden")
    assert in_folder(tmp_path)(Clip("a", "cat/video_1.wav", "cat", 0.0, 1.0, "train")) == [upper]
    assert len(read_joined([upper])) == len(features(1))


def test_a_kind_that_no_folder_is_named_by_is_refused(videos: Path) -> None:
    with pytest.raises(UserError, match="has 'flwo' in its name"):
        in_folder(videos, ["rgb", "flwo"])


def test_a_video_of_the_same_name_in_another_class_is_not_taken(tmp_path: Path) -> None:
    save(tmp_path / "dog" / "feature_rgb" / "video_1.pkl", features(1))
    flat = save(tmp_path / "feature_rgb" / "video_2.pkl", features(2))
    save(tmp_path / "feature_rgb" / "video_2_mel.npy", features(2))
    find = in_folder(tmp_path)
    assert find(Clip("a", "cat/video_1.wav", "cat", 0.0, 1.0, "train")) == []
    assert len(find(Clip("a", "dog/video_1.wav", "dog", 0.0, 1.0, "train"))) == 1
    assert find(Clip("a", "cat/video_2.mp4", "cat", 0.0, 1.0, "train")) == [flat]


def test_half_precision_is_near_and_the_data_set_stays_whole(data: Path, videos: Path) -> None:
    exact = [attach_features(data, in_folder(videos), dtype="float32").clip(row) for row in range(3)]
    attach_features(data, in_folder(videos))
    store = Store.open(data)
    opened = FeatureStore.open(data, store.fingerprint)
    assert opened.manifest.dtype == "float16"
    assert all(np.allclose(opened.clip(row), exact[row], atol=2e-3) for row in range(3))
    assert is_whole(data)
    assert pickle.loads(pickle.dumps(opened)).clip(1).tolist() == opened.clip(1).tolist()


def test_the_digest_changes_with_the_numbers_alone(data: Path, videos: Path) -> None:
    first, again = (attach_features(data, in_folder(videos)).manifest.digest for _ in range(2))
    save(next(videos.rglob("*.pkl")), features(999))
    assert first == again != attach_features(data, in_folder(videos)).manifest.digest


def test_what_is_missing_is_named(data: Path, videos: Path) -> None:
    next(iter(sorted(videos.rglob("video_03.pkl")))).unlink()
    with pytest.raises(UserError, match="depth 4, those before 8"):
        attach_features(data, in_folder(videos))
    for path in videos.rglob("video_03.pkl"):
        path.unlink()
    with pytest.raises(UserError, match=r"clips of .* have no features, first rain/video_03\.wav"):
        attach_features(data, in_folder(videos))
    with pytest.raises(UserError, match="has no features of its videos"):
        FeatureStore.open(data, Store.open(data).fingerprint)
    with pytest.raises(UserError, match="does not exist"):
        in_folder(videos / "none")


def damage_manifest(folder: Path) -> None:
    (folder / "features.json").write_text("{")


def cut_values(folder: Path) -> None:
    (folder / "values.bin").write_bytes((folder / "values.bin").read_bytes()[:-16])


def change_version(folder: Path) -> None:
    values = json.loads((folder / "features.json").read_text())
    (folder / "features.json").write_text(json.dumps({**values, "format": 2}))


@pytest.mark.parametrize("change", [damage_manifest, cut_values, change_version])
def test_a_damaged_store_is_refused(data: Path, videos: Path, change: Callable[[Path], None]) -> None:
    attach_features(data, in_folder(videos))
    change(data / "features")
    with pytest.raises(UserError, match=r"damaged|features\.json"):
        FeatureStore.open(data, Store.open(data).fingerprint)


def test_features_of_another_state_of_the_data_are_refused(data: Path, videos: Path) -> None:
    attach_features(data, in_folder(videos))
    with pytest.raises(UserError, match="earlier state"):
        FeatureStore.open(data, "0123456789abcdef")


def test_files_of_one_video_must_fit_each_other(tmp_path: Path) -> None:
    a, b = save(tmp_path / "a.pkl", features(1)), save(tmp_path / "b.pkl", features(2, depth=3))
    assert read_joined([a, b]).shape == (22, 7)
    save(b, features(2, frames=21))
    with pytest.raises(UserError, match=r"same number of frames, not .*a\.pkl 22, .*b\.pkl 21"):
        read_joined([a, b])
    with pytest.raises(UserError, match="no feature file was given"):
        read_joined([])


def test_numbers_too_large_for_float16_are_refused(data: Path, videos: Path) -> None:
    save(next(videos.rglob("*.pkl")), features(1) * 1e6)
    with pytest.raises(UserError, match="store them as float32"):
        attach_features(data, in_folder(videos))
    assert len(attach_features(data, in_folder(videos), dtype="float32"))


def test_mels_of_the_originals_find_the_features_of_their_video(tmp_path: Path) -> None:
    """A mel's name has a word more than its video's, and `features` is a folder above every class."""
    root = tmp_path / "vas"
    for label in ("dog", "drum"):
        folder = root / "features" / label / "feature_rgb_bninception_dim1024_21.5fps"
        folder.mkdir(parents=True)
        np.save(folder / "video_00001.npy", np.zeros((4, 3), np.float32))
    path = "features/dog/melspec_10s_22050hz/video_00001_mel.npy"
    clip = Clip("x", path, "dog", 0.0, 10.0, "train")
    wanted = root / "features/dog/feature_rgb_bninception_dim1024_21.5fps/video_00001.npy"
    assert in_folder(root / "features")(clip) == [wanted]
    assert in_folder(root)(clip) == [wanted]
