"""Folders called train, valid and test: a split where they hold class folders, classes where they do not."""

import pytest

from melgpt.data.folder_split import folder_split


def places(*folders: str) -> dict[str, tuple[str, str]]:
    split = folder_split(folders)
    found = {folder: split.place(folder) for folder in folders}
    return {folder: (place.label, place.split) for folder, place in found.items() if not place.problem}


@pytest.mark.parametrize(
    ("train", "valid", "test"),
    [
        ("train", "valid", "test"),
        ("Training", "VAL", "Testing"),
        ("TRAIN", "validation", "eval"),
        ("train", "dev", "evaluation"),
    ],
)
def test_split_folders_that_hold_class_folders_are_the_split(train: str, valid: str, test: str) -> None:
    folders = [f"{side}/{label}" for side in (train, valid, test) for label in ("dog", "big cat/lion")]
    found = places(*folders)
    assert [found[folder] for folder in folders] == [
        (label, side) for side in ("train", "valid", "test") for label in ("dog", "big cat/lion")
    ]
    assert "data.folder_split=false" in folder_split(folders).note


def test_without_a_folder_for_training_development_is_for_it() -> None:
    assert places("dev/dog", "eval/dog") == {"dev/dog": ("dog", "train"), "eval/dog": ("dog", "test")}


def test_validation_and_tests_alone_are_a_split_that_cannot_be_trained_on() -> None:
    assert places("val/dog", "test/dog") == {"val/dog": ("dog", "valid"), "test/dog": ("dog", "test")}


def test_training_alone_is_a_split() -> None:
    assert places("train/dog", "train/rain") == {
        "train/dog": ("dog", "train"),
        "train/rain": ("rain", "train"),
    }


def test_split_folders_may_lie_below_one_folder_or_in_each_class() -> None:
    assert places("data/train/dog", "data/test/dog") == {
        "data/train/dog": ("data/dog", "train"),
        "data/test/dog": ("data/dog", "test"),
    }
    assert places("dog/train", "dog/test", "rain/train") == {
        "dog/train": ("dog", "train"),
        "dog/test": ("dog", "test"),
        "rain/train": ("rain", "train"),
    }


@pytest.mark.parametrize(
    "folders",
    [
        ("dog", "rain", "test"),
        ("train", "test"),
        ("train", "car", "bus"),
        ("train/steam", "train/diesel", "car/idle"),
        ("train/steam", "test/car", "rain"),
        ("test/dog", "test/rain"),
        ("dog/train", "dog/other"),
        ("vehicle/train",),
        ("training data/dog",),
    ],
)
def test_classes_with_such_names_stay_classes(folders: tuple[str, ...]) -> None:
    assert places(*folders) == {folder: (folder, "") for folder in folders}


def test_tests_alone_are_no_split_and_said_to_be_none() -> None:
    assert "a split needs a folder for training" in folder_split(["test/dog", "test/rain"]).note
    assert not folder_split(["test/dog", "rain"]).note


def test_flat_folders_for_training_and_tests_are_classes_and_said_to_be() -> None:
    assert "are taken as classes" in folder_split(["train", "test"]).note
    assert not folder_split(["dog", "test"]).note


def test_sounds_beside_the_class_folders_and_beside_the_split_have_no_label() -> None:
    split = folder_split(["train", "train/dog", "test/dog", "extra"])
    assert "beside the class folders" in split.place("train").problem
    assert "beside the folders of the split" in split.place("extra").problem
    assert not split.place("train/dog").problem
