"""The options of a recipe or of a part of it, with the names that `key=value` takes.

Examples: melgpt options codec.quantizer fsq · melgpt options --recipe tiny · melgpt options mel.preset
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "part", nargs="?", default="", metavar="PART", help="dotted name; without it, the whole recipe"
    )
    parser.add_argument(
        "kind", nargs="?", default="", metavar="KIND", help="kind, where the part has several"
    )
    parser.add_argument(
        "--recipe",
        metavar="RECIPE",
        help="show its values: tiny, small, seed, seed_vas, or a .toml file (the defaults of all recipes)",
    )


def run(args: argparse.Namespace) -> int:
    from melgpt import registry
    from melgpt.errors import UserError, closest
    from melgpt.training.recipe import Recipe

    recipe = Recipe.read(args.recipe) if args.recipe else Recipe()
    place = _find(recipe, args.part)
    part, value = place.value, f"in {args.recipe}" if args.recipe else "default"
    if args.kind:
        if not place.kinds:
            raise UserError(f"{args.part or 'a recipe'} has no kinds; leave '{args.kind}' out")
        if ":" not in args.kind and args.kind not in place.kinds:
            raise UserError(f"unknown {place.family} kind '{args.kind}'{closest(args.kind, place.kinds)}")
        if args.kind != part.kind:
            part, value = registry.configure(place.family, args.kind), "default"
    elif len(place.kinds) > 1:
        print(f"kinds of {args.part}: {', '.join(place.kinds)}")
        print(f"options of one: melgpt options {args.part} KIND")
        if not args.recipe:
            return 0
    _show(_rows(part, args.part) if place.row is None else iter([place.row]), args.part, value)
    return 0


Row = tuple[str, str, str]
"""Name, value and meaning of an option."""


@dataclass(frozen=True)
class _Place:
    """What stands at a dotted name: a part, with the kinds that it may have, or one option as a row."""

    value: Any
    family: str = ""
    kinds: tuple[str, ...] = ()
    row: Row | None = None


def _find(recipe: Any, part: str) -> _Place:
    """Raises UserError where a recipe has nothing of that name."""
    from melgpt.config import Config
    from melgpt.errors import UserError, closest

    place, above = _Place(recipe), ""
    for name in part.split(".") if part else []:
        place = _kind_with(place, name)
        rows = {row[0].rpartition(".")[2]: row for row in _mel_preset(place.value, above)}
        fields = type(place.value).model_fields if isinstance(place.value, Config) else {}
        if place.row or (name not in fields and name not in rows):
            raise UserError(f"unknown part '{part}' at '{name}'{closest(name, [*rows, *fields])}")
        above = f"{above}.{name}" if above else name
        if name in rows:
            place = _Place(None, row=rows[name])
            continue
        value, field = getattr(place.value, name), fields[name]
        family, kinds = _kinds(field)
        row = None if isinstance(value, Config) else (above, repr(value), field.description or "")
        place = _Place(value, family, kinds, row)
    return place


def _kind_with(place: _Place, name: str) -> _Place:
    """The place with the first kind that has an option of this name, where its own kind has not."""
    from melgpt import registry

    if not place.kinds or name in type(place.value).model_fields:
        return place
    for kind in place.kinds:
        if name in registry.resolve(place.family, kind).Config.model_fields:
            return _Place(registry.configure(place.family, kind), place.family, place.kinds)
    return place


def _kinds(field: Any) -> tuple[str, tuple[str, ...]]:
    """Family of a part and the kinds that fit there; none where it is of no family."""
    from melgpt.registry import Family, kinds_of

    family = next((mark.name for mark in field.metadata if isinstance(mark, Family)), "")
    return family, tuple(kinds_of(family, field.annotation)) if family else ()


def _show(rows: Iterator[Row], part: str, value: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=part or "recipe", title_justify="left")
    for column in ("option", value, "meaning"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _rows(config: Any, part: str) -> Iterator[Row]:
    """The options of a part and of the parts in it."""
    from melgpt.config import Config

    yield from _mel_preset(config, part)
    for name, field in type(config).model_fields.items():
        if part and name == "mel":
            continue  # one for all parts, set under `mel` alone
        dotted, value = f"{part}.{name}" if part else name, getattr(config, name)
        if len(_kinds(field)[1]) > 1:
            meaning = f"{field.description or ''} Its options: melgpt options {dotted} {value.kind}".strip()
            yield dotted, value.kind, meaning
        elif isinstance(value, Config):
            yield from _rows(value, dotted)
        else:
            yield dotted, repr(value), field.description or ""


def _mel_preset(config: Any, part: str) -> Iterator[Row]:
    """The option that stands for all numbers of a mel scale, and is none of its fields."""
    from melgpt.types import PRESETS, MelScale

    if isinstance(config, MelScale):
        name = next((name for name in PRESETS if MelScale.preset(name) == config), "none")
        bands = ", ".join(
            f"{each} ({scale.f_min:g} to {scale.f_max:g} Hz)"
            for each, scale in ((each, MelScale.preset(each)) for each in PRESETS)
        )
        yield (
            f"{part}.preset",
            repr(name),
            f"Sets all of the following: {bands}; auto: the smallest that holds the energy of the sounds.",
        )
