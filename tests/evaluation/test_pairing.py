"""Generated sounds find their recordings by name."""

import pytest

from melgpt.errors import UserError
from melgpt.evaluation.pairing import pair, recording, recording_in_class

CLASSES = ("dog", "baby", "cough")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b/vid_17000_mel.npy", "vid_17000"),
        ("drum_sample_12.wav", "drum_sample_12"),
        ("melody.wav", "melody"),
    ],
)
def test_the_name_is_the_stem_without_what_exporters_add(path: str, name: str) -> None:
    assert recording(path) == name


def test_the_class_is_a_folder_by_name_or_by_its_number_in_sorted_order() -> None:
    key = recording_in_class(CLASSES)
    assert key("features/cough/melspec_10s/video_1_mel.npy") == "cough_video_1"
    assert key("out/cls_1/video_1_mel.npy") == "cough_video_1"
    assert key("dog/cls_0/video_2.npy") == "baby_video_2", "the nearest folder counts"
    with pytest.raises(UserError, match="in the folder of none of the classes baby, cough, dog"):
        key("cls_3/video.npy")


def test_several_sounds_may_belong_to_one_recording_and_none_to_another() -> None:
    rows, of_rows = pair(["b_sample_0.npy", "a_sample_0.npy", "b_sample_1.npy"], ["a.npy", "c.npy", "b.npy"])
    assert rows.tolist() == [0, 1, 2]
    assert of_rows.tolist() == [2, 0, 2]


def test_recordings_may_be_called_samples_themselves() -> None:
    real = ["drum_sample_1.wav", "drum_sample_2_mel.npy"]
    _, of_rows = pair(["drum_sample_2_mel_sample_0.npy", "drum_sample_1_sample_10.wav"], real)
    assert of_rows.tolist() == [1, 0]


def test_a_sound_without_a_recording_is_named() -> None:
    with pytest.raises(UserError, match=r"4 of 5 generated files have no real .*: w.npy, x.npy, y.npy, …"):
        pair(["a.npy", "w.npy", "x.npy", "y.npy", "z.npy"], ["a.npy"])
    with pytest.raises(UserError, match="0 of 0 generated files"):
        pair([], ["a.npy"])


def test_two_recordings_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="both the recording 'a': one/a.npy and two/a_mel.npy"):
        pair(["a.npy"], ["one/a.npy", "two/a_mel.npy"])
