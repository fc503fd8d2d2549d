"""VAS as the originals keep it: mels or videos below class folders, the published split or lists."""

from pathlib import Path

import numpy as np
import pytest

import made_corpora as made
from made_sounds import sound
from melgpt.data.config import DataConfig
from melgpt.data.mel_file import SUFFIX
from melgpt.data.pieces import cut
from melgpt.data.prepare import is_current, prepare
from melgpt.data.store import Store
from melgpt.data.vas import published_split
from melgpt.errors import UserError
from melgpt.types import MelScale

SCALE = MelScale()


def splits(store: Store) -> dict[str, str]:
    clips = (store.clip(row) for row in range(len(store)))
    return {f"{clip.label}/{Path(clip.path).name.removesuffix(SUFFIX)}": clip.split for clip in clips}


def prepared(source: Path, out: Path, **options: object) -> Store:
    prepare(source, out, DataConfig.parse(options), SCALE)
    return Store.open(out)


def test_mels_are_kept_whole_with_their_class_and_the_published_split(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"sneeze": (5, 282), "dog": (0, 2656, 2657), "cat": (1,)})
    store = prepared(source, tmp_path / "out")
    assert store.labels == ("cat", "dog", "sneeze")
    assert set(store.frames) == {860}
    published = {"dog/video_00000": "train", "dog/video_02656": "train", "dog/video_02657": "valid"}
    published |= {"sneeze/video_00005": "train", "sneeze/video_00282": "valid"}
    assert splits(store) == {**published, "cat/video_00001": "train"}
    for row in range(len(store)):
        original = np.load(source / store.clip(row).path)
        assert np.abs(store.mel(row).T - original).max() < 5e-4, "float16 of what the file holds"


def test_lists_beside_the_corpus_or_above_it_win_over_the_table(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0, 1, 2, 3)})
    made.write_lists(tmp_path, "vas", train=["dog/video_00002", "dog/video_00003"])
    made.write_lists(source, "vas", valid=["dog/video_00000", "dog/video_09999", "cat/video_00001"])
    store = prepared(source, tmp_path / "out")
    assert splits(store) == {
        "dog/video_00000": "valid",
        "dog/video_00002": "train",
        "dog/video_00003": "train",
    }
    audit = (tmp_path / "out" / "audit.csv").read_text()
    assert "video_00001_mel.npy,0.0,not listed,left out" in audit
    assert "1 of 4 clips of 'dog' in the lists are not here" in audit
    assert "1 of 1 clips of 'cat' in the lists are not here" in audit


def test_lists_are_found_above_a_link_too(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "disk" / "vas", {"dog": (0, 1)})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vas").symlink_to(source)
    made.write_lists(tmp_path / "data", "vas", train=["dog/video_00001"], valid=["dog/video_00000"])
    store = prepared(tmp_path / "data" / "vas", tmp_path / "out")
    assert splits(store) == {"dog/video_00000": "valid", "dog/video_00001": "train"}


def test_a_clip_in_two_lists_is_refused(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0, 1)})
    made.write_lists(source, "vas", train=["dog/video_00000"], valid=["dog/video_00000"])
    with pytest.raises(UserError, match="'dog/video_00000' is listed for 'train' as well"):
        prepared(source, tmp_path / "out")


def test_the_table_holds_the_published_counts() -> None:
    counts = {"baby": (1933, 128), "cough": (315, 64), "fireworks": (2987, 128), "gun": (802, 64)}
    for label, (train, valid) in counts.items():
        sides = [published_split(label, f"video_{number:05d}") for number in range(train + valid + 1)]
        assert sides == ["train"] * train + ["valid"] * valid + [""]


def test_the_table_is_the_published_lists(vas_sample: Path) -> None:
    for split in ("train", "valid"):
        for line in (vas_sample / f"vas_{split}.txt").read_text().split():
            assert published_split(*line.split("/")) == split


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((860, 80), np.float32), "a mel is [80 bands, frames]"),
        (np.full((80, 860), 1.5, np.float32), "a mel lies in [0, 1]"),
        (np.full((80, 860), np.nan), "a mel lies in [0, 1]"),
        (np.zeros((80, 860), np.int64), "float32 or float64"),
        (np.zeros((80, 860), np.float32), "every value is 0"),
        (made.mel(9, 0), "a mel is [80 bands, frames]"),
    ],
)
def test_a_file_that_is_no_mel_is_listed(values: np.ndarray, words: str, tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0, 1)})
    made.save_mel(source / "features" / "dog" / made.MELS / f"video_00002{SUFFIX}", values)
    assert len(prepared(source, tmp_path / "out")) == 2
    assert words in (tmp_path / "out" / "audit.csv").read_text()


def test_pickles_and_cut_files_are_not_read(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0, 1, 2)})
    places = sorted(source.rglob(f"*{SUFFIX}"))
    np.save(places[0], np.array([{"a": 1}], dtype=object), allow_pickle=True)
    whole = places[1].read_bytes()
    places[1].write_bytes(whole[: len(whole) // 2])
    places[0].with_name("._video_00000_mel.npy").write_bytes(b"what a file manager left")
    with pytest.raises(UserError, match="only 1 usable clip in 3 sound"):
        prepared(source, tmp_path / "out")


def test_mels_are_cut_to_clip_seconds(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0,)})
    store = prepared(source, tmp_path / "out", clip_seconds=4.0)
    assert list(store.frames) == [343, 343, 174]
    assert np.array_equal(np.concatenate([store.mel(row) for row in range(3)]), made.mel(0).T.astype("f2"))


def test_classes_can_be_chosen(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0,), "drum": (0,), "gun": (0,)})
    assert prepared(source, tmp_path / "out", only="dog,gun").labels == ("dog", "gun")
    with pytest.raises(UserError, match="no class 'drums'; did you mean 'drum'"):
        prepared(source, tmp_path / "out", only="drums")


def test_the_features_folder_itself_and_a_second_run_are_understood(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0, 2700)})
    store = prepared(source / "features", tmp_path / "out")
    assert sorted(splits(store).values()) == ["train", "valid"]
    assert is_current(source / "features", tmp_path / "out", DataConfig(), SCALE)
    assert not is_current(source / "features", tmp_path / "out", DataConfig(only=("dog",)), SCALE)


def test_another_scale_needs_the_videos(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0, 1)})
    with pytest.raises(UserError, match="are of the scale 'specvqgan'"):
        prepare(source, tmp_path / "out", DataConfig(), MelScale.preset("hifigan"))


def test_classes_without_mels_come_from_their_videos_repeated_to_ten_seconds(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0,)})
    for label, number, seconds in (("dog", 5, 3.0), ("gun", 0, 3.0), ("gun", 802, 12.0)):
        made.save_video(source / "videos" / label / f"video_{number:05d}.mp4", sound(number, seconds))
    store = prepared(source, tmp_path / "out")
    rows = {store.clip(row).path: row for row in range(len(store))}
    names = [f"features/dog/{made.MELS}/video_00000_mel.npy"]
    names += ["videos/gun/video_00000.mp4", "videos/gun/video_00802.mp4"]
    assert sorted(rows) == names
    assert [store.clip(rows[name]).split for name in names] == ["train", "train", "valid"]
    assert set(store.frames) == {860}
    mel = store.mel(rows[names[1]]).astype(np.float32)
    period = 262  # 3 s and what AAC and the gap add, in frames
    near = min(
        np.abs(mel[20 : 20 + 200] - mel[20 + p : 220 + p]).mean() for p in range(period - 4, period + 6)
    )
    assert near < 0.25 * np.abs(mel[20:220] - mel[400:600]).mean(), "the sound is repeated"


def test_videos_serve_any_scale_and_a_plain_folder_is_not_repeated(tmp_path: Path) -> None:
    for number in (0, 1):
        path = f"videos/dog/video_{number:05d}.mp4"
        made.save_video(tmp_path / "vas" / path, sound(number, 3.0))
        made.save_video(tmp_path / "plain" / "dog" / f"{number}.mp4", sound(number, 3.0))
    prepare(tmp_path / "vas", tmp_path / "a", DataConfig(), MelScale.preset("hifigan"))
    assert set(Store.open(tmp_path / "a").frames) == {860}
    assert max(prepared(tmp_path / "plain", tmp_path / "b").frames) < 300
    assert set(prepared(tmp_path / "plain", tmp_path / "c", originals_length=True).frames) == {860}
    assert max(prepared(tmp_path / "vas", tmp_path / "d", originals_length=False).frames) < 300


def test_the_published_mels_come_out_of_their_videos(vas_sample: Path) -> None:
    errors = []
    for video in sorted(vas_sample.glob("videos/*/*.mp4")):
        name = f"features/{video.parent.name}/{made.MELS}/{video.stem}{SUFFIX}"
        published = np.load(vas_sample / name)
        made_here = cut(video.parent, video.name, DataConfig(originals_length=True), SCALE).pieces[0].mel.T
        assert made_here.shape == published.shape
        errors.append(np.abs(made_here - published).mean())
    assert len(errors) == 4
    assert max(errors) <= 0.016
    assert np.mean(errors) <= 0.0075


def test_videos_are_taken_where_there_are_no_mels(vas_sample: Path, tmp_path: Path) -> None:
    (tmp_path / "vas").mkdir()
    (tmp_path / "vas" / "videos").symlink_to(vas_sample / "videos")
    store = prepared(tmp_path / "vas", tmp_path / "out")
    assert set(splits(store).values()) == {"valid"}
    assert set(store.frames) == {860}


def test_videos_that_are_no_mp4_are_counted(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0, 2700)})
    for name in ("gun/video_00000.mp4", "gun/video_00001.webm", "cat/video_00000.MKV", "dog/video_00000.avi"):
        (source / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (source / "videos" / name).write_bytes(b"no sound")
    lines = prepare(source, tmp_path / "out", DataConfig(), SCALE).report()
    assert "not in the layout of VAS, whose videos are .mp4: 1 .mkv, 1 .webm" in lines
    assert "class gun gives no clip: 1 unreadable" in lines
