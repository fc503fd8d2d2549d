"""The options of a recipe or of a part of it, with the names that `key=value` takes.

Examples: melgpt options codec.quantizer fsq · melgpt options codec.quantizer · melgpt options train.prior
"""

import argparse
from collections.abc import Iterator
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "part", nargs="?", default="", metavar="PART", help="dotted name; without it, the whole recipe"
    )
    parser.add_argument(
        "kind", nargs="?", default="", metavar="KIND", help="kind, where the part has several"
    )


def run(args: argparse.Namespace) -> int:
    from melgpt import registry
    from melgpt.training.recipe import Recipe

    config, family = _find(Recipe, args.part)
    if family is None and args.kind:
        from melgpt.errors import UserError

        raise UserError(f"{args.part} has no kinds; leave '{args.kind}' out")
    if family is not None:
        if not args.kind:
            print(f"kinds of {args.part}: {', '.join(registry.KINDS[family])}")
            print(f"options of one: melgpt options {args.part} KIND")
            return 0
        config = registry.resolve(family, args.kind).Config
    _show(config, args.part)
    return 0


def _find(recipe: Any, part: str) -> tuple[Any, str | None]:
    """The configuration class at a dotted name, or the family of kinds to choose from."""
    from melgpt.errors import UserError, closest
    from melgpt.registry import Family

    config, family = recipe, None
    for name in part.split(".") if part else []:
        fields = getattr(config, "model_fields", {}) if family is None else {}
        if name not in fields:
            raise UserError(f"unknown part '{part}' at '{name}'{closest(name, list(fields))}")
        field = fields[name]
        family = next((m.name for m in field.metadata if isinstance(m, Family)), None)
        config = field.annotation
    if family is None and not hasattr(config, "model_fields"):
        raise UserError(f"'{part}' is an option, not a part; see melgpt options {part.rpartition('.')[0]}")
    return config, family


def _show(config: Any, part: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=part or "recipe", title_justify="left")
    for column in ("option", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for row in _rows(config, part):
        table.add_row(*row)
    Console().print(table)


def _rows(config: Any, part: str) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of each option of a part and of the parts in it."""
    from melgpt.registry import Family

    for name, field in config.model_fields.items():
        if part and name == "mel":
            continue  # one for all parts, set under `mel` alone
        dotted = f"{part}.{name}" if part else name
        default = field.get_default(call_default_factory=True)
        if any(isinstance(each, Family) for each in field.metadata):
            kind = getattr(default, "kind", default)
            yield (
                dotted,
                str(kind),
                f"{field.description or ''} Its options: melgpt options {dotted} KIND".strip(),
            )
        elif hasattr(default, "model_fields"):
            yield from _rows(default.__class__, dotted)
        else:
            yield dotted, repr(default), field.description or ""
