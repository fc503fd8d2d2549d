"""`fit` on a prepared data set takes mel scale and options from it, and refuses what contradicts it."""

from pathlib import Path

import pytest

from conftest import MICRO
from made_sounds import save, sound
from melgpt.data.config import DataConfig
from melgpt.data.prepare import prepare
from melgpt.data.store import is_prepared
from melgpt.errors import UserError
from melgpt.training.fit import Run
from melgpt.training.prepared_source import check_changes, with_data_set
from melgpt.training.recipe import Recipe
from melgpt.types import MelScale

SCALE = MelScale.preset("hifigan")
SHORT = ["train.codec.steps=2", "train.prior.steps=2", "train.codec.adversarial_start=2"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number in range(6):
        save(tmp_path / "sounds/dog" / f"{number}.wav", sound(number, 0.6))
    prepare(tmp_path / "sounds", tmp_path / "data", DataConfig(clip_seconds=0.5), SCALE)
    return tmp_path / "data"


def test_mel_scale_and_options_are_those_of_the_set(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = with_data_set(Recipe.read(str(MICRO)), data)
    assert (recipe.mel, recipe.codec.mel, recipe.vocoder.mel) == (SCALE,) * 3
    assert (recipe.data.clip_seconds, recipe.data.valid_fraction) == (0.5, 0.1)
    assert f"the mel scale is that of {data}" in capsys.readouterr().err
    assert with_data_set(recipe, data) == recipe
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("data.clip_seconds=2", "prepared with 0.5, not 2.0"),
        ("data.only=dog", "data.only: "),
        ("mel.preset=wide", "another mel scale"),
    ],
)
def test_a_change_that_contradicts_the_set_is_refused(data: Path, change: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_changes([change], Recipe.read(str(MICRO), [change]), data)


def test_a_change_that_agrees_with_the_set_is_taken(data: Path) -> None:
    changes = ["data.clip_seconds=0.5", "mel.preset=hifigan", "train.codec.steps=3"]
    check_changes(changes, Recipe.read(str(MICRO), changes), data)


def test_a_set_is_learnt_from_where_it_lies(data: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", Recipe.read(str(MICRO), SHORT))
    assert is_prepared(data)
    run.fit(data)
    assert run.labels == ("dog",)
    assert (tmp_path / "run/prior.safetensors").is_file()
    assert not (tmp_path / "run/data").exists()


def test_a_model_below_its_sounds_is_not_learnt_and_stays_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = tmp_path / "sounds"
    for number in range(6):
        save(sounds / "dog" / f"{number}.wav", sound(number, 0.6))
    for _ in range(2):
        capsys.readouterr()
        Run(sounds / "run", Recipe.read(str(MICRO), SHORT)).fit(sounds)
        save(sounds / "new/dog_seed0_000.wav", sound(9))
        (sounds / "new/dog_seed0_000.json").write_text('{"seed": 0, "index": 0, "sampling": {}}')
    said = capsys.readouterr().err
    assert "left out, made by this program: new (1 sound), run (--out)" in said
    assert "codec: already trained, nothing changed" in said
    assert "prior: already trained, nothing changed" in said


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_set_without_a_side_is_refused_with_the_ways_out(split: str, tmp_path: Path) -> None:
    rows = []
    for number in range(2):
        save(tmp_path / "sounds" / f"{number}.wav", sound(number, 0.6))
        rows.append(f"{number}.wav,class {number},{'test' if split == 'train' else ''}")
    (tmp_path / "sounds/metadata.csv").write_text("\n".join(["file_name,label,split", *rows]))
    words = "give some to train" if split == "train" else r"cut one into two .* data\.clip_seconds"
    with pytest.raises(UserError, match=f"has no {split} clips.*{words}"):
        Run(tmp_path / "run", Recipe.read(str(MICRO))).fit(tmp_path / "sounds")
    assert not (tmp_path / "run/training").exists()
