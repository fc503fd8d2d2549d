"""Every recipe that comes with the package builds, and survives being written and read."""

from pathlib import Path

import pytest
import torch

from melgpt.codec.codec import Codec
from melgpt.config import read_toml
from melgpt.errors import UserError
from melgpt.gpt.prior import Prior
from melgpt.gpt.vae import GPTVAE
from melgpt.training.recipe import Recipe
from melgpt.types import MelScale

RECIPES = sorted(p.stem for p in (Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_builds_its_networks(name: str) -> None:
    recipe = Recipe.read(name)
    with torch.device("meta"):
        codec = Codec(recipe.codec)
        prior = recipe.prior.changed(labels=("a", "b"), codebook=codec.codebook_size, rows=5, columns=53)
        assert sum(p.numel() for p in Prior(prior).parameters()) > 1e6
        vae = recipe.vae.changed(codebook=codec.codebook_size, rows=5, columns=53)
        assert sum(p.numel() for p in GPTVAE(vae).parameters()) > 1e6
    assert codec.scale == recipe.mel


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_writing(name: str, tmp_path: Path) -> None:
    recipe = Recipe.read(name, ["mel.preset=hifigan", "train.prior.learning_rate=1e-6"])
    recipe.write(tmp_path / "recipe.toml")
    assert Recipe.read(str(tmp_path / "recipe.toml")) == recipe
    assert read_toml(tmp_path / "recipe.toml")["train"]["prior"]["learning_rate"] == 1e-6


def test_a_mel_preset_reaches_every_part() -> None:
    recipe = Recipe.read("tiny", ["mel.preset=wide"])
    assert recipe.codec.mel == recipe.vocoder.mel == MelScale.preset("wide")


def test_two_mel_scales_in_one_recipe_are_refused() -> None:
    with pytest.raises(UserError, match="another mel scale"):
        Recipe.read("tiny", ["codec.mel.n_mels=64"])


def test_another_kind_drops_the_options_of_the_first() -> None:
    recipe = Recipe.read("tiny", ["codec.quantizer.kind=ema"])
    assert recipe.codec.quantizer.plain()["codes"] == 512


def test_auto_stands_for_the_mel_of_the_sounds_and_is_refused_without_sounds(tmp_path: Path) -> None:
    recipe = Recipe.read("tiny", ["mel.preset=auto", "mel.n_mels=96"], auto=lambda data: {"preset": "wide"})
    assert recipe.mel == recipe.codec.mel == MelScale.preset("wide").changed(n_mels=96)
    (tmp_path / "mine.toml").write_text('[mel]\npreset = "auto"\n')
    mine = str(tmp_path / "mine.toml")
    assert Recipe.read(mine, auto=lambda data: {"preset": "hifigan"}).mel == MelScale.preset("hifigan")
    with pytest.raises(UserError, match="auto follows a folder of sounds: prepare, fit and train take it"):
        Recipe.read(mine)


def test_another_preset_takes_the_place_of_a_written_recipes_mel(tmp_path: Path) -> None:
    Recipe.read("tiny").write(tmp_path / "recipe.toml")
    written = str(tmp_path / "recipe.toml")
    assert Recipe.read(written, ["mel.preset=wide"]) == Recipe.read("tiny", ["mel.preset=wide"])
    assert Recipe.read(written, ["mel.f_min=50"]).codec.mel == MelScale(f_min=50.0)
