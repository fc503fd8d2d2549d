"""`fit` on a prepared data set: its mel scale and its options take the place of the recipe's."""

from pathlib import Path
from typing import Any

from melgpt.config import parse_changes
from melgpt.data.config import DataConfig
from melgpt.data.store import read_manifest
from melgpt.errors import UserError
from melgpt.progress import say
from melgpt.training.recipe import Recipe
from melgpt.types import MelScale


def scale_of_set(data: Path, _: DataConfig) -> dict[str, Any]:
    """A recipe's [mel] with the scale of a prepared data set: what `mel.preset=auto` stands for there."""
    scale: dict[str, Any] = _made_with(data)[0].model_dump()
    return scale


def with_data_set(recipe: Recipe, data: Path) -> Recipe:
    """The recipe with mel scale and data options of a prepared data set; says where the scale is another.

    Raises UserError where the data set, or a part of the recipe with this scale, is not in order.
    """
    scale, options = _made_with(data)
    if recipe.mel != scale:
        say(f"the mel scale is that of {data}: {scale.n_mels} bands, {scale.rate} Hz, up to {scale.f_max:g}")
    plain = recipe.plain()
    for part in ("codec", "decoder", "vocoder"):
        plain[part].pop("mel", None)  # the recipe gives its own scale to its parts
    return Recipe.parse({**plain, "mel": scale.model_dump(), "data": options})


def check_changes(changes: list[str], recipe: Recipe, data: Path) -> None:
    """Raises UserError for a `key=value` change that contradicts a prepared data set; recipe: with all."""
    scale, options = _made_with(data)
    asked = parse_changes(changes)
    if "mel" in asked and recipe.mel != scale:
        raise UserError(f"mel: {data} was prepared with another mel scale; leave it out or prepare again")
    for name in asked.get("data", {}):
        wanted, there = recipe.data.plain()[name], options[name]
        if wanted not in (there, "auto"):
            raise UserError(
                f"data.{name}: {data} was prepared with {there}, not {wanted}; leave it out or prepare again"
            )


def _made_with(data: Path) -> tuple[MelScale, dict[str, Any]]:
    """Mel scale and all options of a prepared data set; those that it does not tell are at their defaults."""
    manifest = read_manifest(data)
    known = {
        name: value for name, value in manifest.get("config", {}).items() if name in DataConfig.model_fields
    }
    return MelScale.parse(manifest["scale"]), DataConfig.parse(known).plain()
