"""Checked configuration: frozen pydantic classes, TOML in and out, `key=value` changes.

A part's `Config` stands above the part that it shapes. An unknown key fails with the nearest known one.
"""

import json
import tomllib
from datetime import date, time
from pathlib import Path
from typing import Any, Self, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from melgpt.errors import UserError, closest


class Config(BaseModel):
    """Base of every configuration: frozen, no unknown keys, the docstring under a field is its help."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown option '{key}'{closest(str(key), list(cls.model_fields))}")
        return values

    @model_validator(mode="before")
    @classmethod
    def _split_at_commas(cls, values: Any) -> Any:
        """`levels=8,5` is `levels=[8, 5]`."""
        if not isinstance(values, dict):
            return values
        return {
            key: [part.strip() for part in value.split(",") if part.strip()]
            if isinstance(value, str) and get_origin(_annotation(cls, key)) is tuple
            else value
            for key, value in values.items()
        }

    @classmethod
    def parse(cls, values: dict[str, Any], *, where: str = "") -> Self:
        """Build from plain values. Raises UserError that names each wrong option by its dotted path."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UserError(in_one_line(error, where)) from None

    def plain(self) -> dict[str, Any]:
        """As plain types that JSON and TOML can hold."""
        return self.model_dump(mode="json")

    def changed(self, **changes: Any) -> Self:
        """A checked copy with some fields replaced."""
        return type(self).parse({**self.model_dump(), **changes})


def _annotation(config: type[Config], key: str) -> Any:
    field = config.model_fields.get(key)
    return None if field is None else field.annotation


class KindConfig(Config):
    """Configuration of an exchangeable part; `kind` names its class through the registry."""

    kind: str
    """Registered name, or `package.module:Class` for a part outside the package."""


def in_one_line(error: ValidationError, where: str = "") -> str:
    """Each wrong option by its dotted path below `where`, with what was given."""
    return "; ".join(_describe(e, where) for e in error.errors())


def _describe(error: Any, where: str) -> str:
    path = ".".join(str(p) for p in ((where,) if where else ()) + tuple(error["loc"]))
    message = str(error["msg"]).removeprefix("Value error, ")
    given = error.get("input")
    shown = "" if isinstance(given, dict | Config) else f" (given: {given!r})"
    return f"option {path}: {message}{shown}" if path else f"{message}{shown}"


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dict. Raises UserError with the line of a syntax error."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None


def parse_changes(pairs: list[str]) -> dict[str, Any]:
    """`["codec.quantizer.kind=fsq", "train.codec.steps=3"]` → nested dict; values are TOML, or else text."""
    changes: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise UserError(f"'{pair}' is not of the form key=value, for example train.codec.steps=500")
        value = _read_value(text)
        *tables, last = key.strip().split(".")
        table = changes
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise UserError(f"'{pair}': '{name}' was already given a value of its own")
        table[last] = value
    return changes


def _read_value(text: str) -> Any:
    """A TOML value; whatever is none, or a date, which no option is, stays text."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    plain = table.keys() == {"value"} and not isinstance(table["value"], date | time)
    return table["value"] if plain else text


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Changes laid over base, table by table. Another `kind` than base's starts from its own defaults."""
    if "kind" in base and changes.get("kind", base["kind"]) != base["kind"]:
        return dict(changes)
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def to_toml(values: dict[str, Any], prefix: str = "") -> str:
    """Plain values as TOML text; keys whose value is None are left out (TOML has no null)."""
    lines = [
        f"{_key(k)} = {_value(v)}" for k, v in values.items() if not isinstance(v, dict) and v is not None
    ]
    text = "\n".join(lines) + "\n" if lines else ""
    for key, table in values.items():
        if isinstance(table, dict):
            name = f"{prefix}{_key(key)}"
            text += f"\n[{name}]\n{to_toml(table, name + '.')}"
    return text


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _quoted(key)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    if isinstance(value, float):
        return repr(value)
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """JSON's escapes are TOML's too, but for the delete character, which JSON lets stand."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
