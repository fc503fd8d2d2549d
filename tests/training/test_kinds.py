"""An unknown kind of any family is refused at once: in a recipe, on the command line, in a model file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from melgpt import checkpoint
from melgpt.config import Config, KindConfig
from melgpt.errors import UserError
from melgpt.gpt.prior import Prior, PriorConfig
from melgpt.registry import KINDS, Family, KindsOf, configure
from melgpt.training.recipe import Recipe


def places(config: type[Config], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each field of a recipe that names kinds, by its dotted path, with what marks it, or None."""
    for name, field in config.model_fields.items():
        path, default = f"{above}{name}", field.get_default(call_default_factory=True)
        mark = next((m for m in field.metadata if isinstance(m, Family | KindsOf)), None)
        if mark is not None or isinstance(default, KindConfig):
            yield (path if isinstance(mark, KindsOf) else f"{path}.kind"), mark
        if isinstance(default, Config):
            yield from places(type(default), f"{path}.")


PLACES = dict(places(Recipe))


def unknown(family: str) -> tuple[str, str]:
    """A kind that is none, and the one that it is nearest to."""
    near = list(KINDS[family])[-1]
    return f"{near[:-1]}x", near


def refused(family: str) -> str:
    kind, near = unknown(family)
    return f"unknown {family} kind '{kind}'; did you mean '{near}'?"


def test_every_part_of_a_recipe_belongs_to_a_family() -> None:
    assert [path for path, mark in PLACES.items() if mark is None] == []
    named = {mark.name if isinstance(mark, Family) else mark.family for mark in PLACES.values()}
    assert named == KINDS.keys() - {"perceptual"}, "a perceptual network comes from a file alone"


@pytest.mark.parametrize("path", PLACES)
def test_a_recipe_and_a_changed_option_refuse_an_unknown_kind(path: str, tmp_path: Path) -> None:
    mark = PLACES[path]
    family = mark.name if isinstance(mark, Family) else mark.family
    kind, _ = unknown(family)
    with pytest.raises(UserError) as error:
        Recipe.read("tiny", [f"{path}={kind}"])
    assert refused(family) in str(error.value)
    assert f"option {path.removesuffix('.kind')}:" in str(error.value)
    file = tmp_path / "mine.toml"
    file.write_text(f"{path} = {json.dumps([kind] if isinstance(mark, KindsOf) else kind)}\n")
    with pytest.raises(UserError) as again:
        Recipe.read(str(file))
    assert refused(family) in str(again.value)


@pytest.mark.parametrize("family", KINDS)
def test_a_model_file_of_an_unknown_kind_is_refused(family: str, tmp_path: Path) -> None:
    path = tmp_path / f"{family}.safetensors"
    said = {"format": 1, "family": family, "fingerprint": "", "config": {"kind": unknown(family)[0]}}
    save_file({"x": torch.zeros(1)}, path, metadata={"melgpt": json.dumps(said)})
    with pytest.raises(UserError) as error:
        checkpoint.load(path)
    assert refused(family) in str(error.value)
    assert str(path) in str(error.value)
    with pytest.raises(UserError) as again:
        configure(family, unknown(family)[0])
    assert refused(family) in str(again.value)


def test_a_part_of_an_unknown_kind_is_not_saved(tmp_path: Path) -> None:
    prior = Prior(PriorConfig(kind="gtp", blocks={"layers": 1, "width": 8, "heads": 2}))
    with pytest.raises(UserError, match="unknown prior kind 'gtp'; did you mean 'gpt'"):
        checkpoint.save(prior, tmp_path / "prior.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.codec.discriminator.kind=sound", "its Config is not a DiscriminatorConfig; known: patchgan"),
        ("train.vocoder.discriminator.kind=patchgan", "its Config is not a SoundDiscriminatorConfig"),
        ("codec.kind=melgpt.gpt.prior:Prior", "its Config is not a CodecConfig; known: vqgan"),
        ("train.classifier.kinds=melception", "known: listener_cnn, listener_transformer"),
        ("prior.kind=no_such_package:Mine", "cannot be imported"),
        ("vae.kind=3", "a vae needs kind = one of: gpt_vae"),
    ],
)
def test_a_kind_that_does_not_fit_its_place_is_refused(change: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        Recipe.read("tiny", [change])
    assert words in str(error.value)


def test_a_part_by_its_kind_alone_has_its_defaults() -> None:
    assert Recipe.read("tiny", ["vae=gpt_vae"]).vae.kind == "gpt_vae"
    assert Recipe.parse({"codec": "vqgan"}).codec == Recipe().codec
