"""Configuration: unknown names, nested paths, changes, TOML and back."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from melgpt.config import Config, merge, parse_changes, read_toml, to_toml
from melgpt.errors import UserError


class Inner(Config):
    speed: float = Field(1.0, gt=0)
    """How fast."""
    wheels: int = 4
    """How many."""


class Outer(Config):
    inner: Inner = Inner()
    """A part."""
    name: str = "car"
    """A name."""
    sizes: tuple[int, ...] = (1, 2)
    """Some sizes."""


def test_values_of_a_row_may_stand_between_commas() -> None:
    assert Outer.parse({"sizes": "8, 5,"}).sizes == (8, 5)
    assert Outer.parse({"sizes": "3", "name": "a,b"}) == Outer(sizes=(3,), name="a,b")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nmae": "x"}, "unknown option 'nmae'; did you mean 'name'?"),
        ({"inner": {"weels": 3}}, "option inner: unknown option 'weels'; did you mean 'wheels'?"),
        ({"zzz": 1}, "unknown option 'zzz'; known: inner, name, sizes"),
        ({"inner": {"wheels": "many"}}, "option inner.wheels: "),
        ({"inner": {"wheels": "many"}}, "(given: 'many')"),
        ({"inner": {"speed": -1}}, "option inner.speed: Input should be greater than 0 (given: -1)"),
        ({"sizes": [1, "x"]}, "option sizes.1: "),
    ],
)
def test_a_wrong_option_is_named_with_its_path_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        Outer.parse(values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_all_wrong_options_are_named_at_once_below_where_they_stand() -> None:
    with pytest.raises(UserError) as error:
        Outer.parse({"inner": {"speed": 0, "wheels": "x"}}, where="garage")
    assert "option garage.inner.speed" in str(error.value)
    assert "option garage.inner.wheels" in str(error.value)


def test_a_configuration_is_frozen_and_copies_are_checked() -> None:
    config = Outer()
    with pytest.raises(ValueError, match="frozen"):
        config.name = "bus"  # type: ignore[misc]
    assert config.changed(name="bus").name == "bus"
    assert config.changed(inner={"wheels": 3}).inner.wheels == 3
    with pytest.raises(UserError, match="option sizes"):
        config.changed(sizes="x")


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("a=3", 3),
        ("a=1e-6", 1e-6),
        ("a=true", True),
        ("a=[1, [2, 3]]", [1, [2, 3]]),
        ('a="3"', "3"),
        ("a=fsq", "fsq"),
        ("a=", ""),
        ("a=x=y", "x=y"),
        ("a=2024-01-31", "2024-01-31"),
        ("a=1\nb = 2", "1\nb = 2"),
        (" a =dog bark", "dog bark"),
    ],
)
def test_values_are_toml_or_else_text(pair: str, value: object) -> None:
    assert parse_changes([pair]) == {"a": value}


def test_dotted_keys_become_tables() -> None:
    changes = parse_changes(["codec.quantizer.kind=fsq", "codec.train.epochs=3", "seed=1", "seed=2"])
    assert changes == {"codec": {"quantizer": {"kind": "fsq"}, "train": {"epochs": 3}}, "seed": 2}


@pytest.mark.parametrize("pair", ["epochs", "=3", ""])
def test_a_change_without_key_or_value_is_refused(pair: str) -> None:
    with pytest.raises(UserError, match="not of the form key=value"):
        parse_changes([pair])


def test_a_value_cannot_also_be_a_table() -> None:
    with pytest.raises(UserError, match="'b' was already given a value of its own"):
        parse_changes(["a.b=1", "a.b.c=2"])


def test_changes_are_laid_over_table_by_table() -> None:
    base = {"inner": {"speed": 2.0, "wheels": 3}, "name": "car"}
    assert merge(base, {"inner": {"wheels": 6}}) == {"inner": {"speed": 2.0, "wheels": 6}, "name": "car"}
    assert base["inner"] == {"speed": 2.0, "wheels": 3}


def test_another_kind_drops_the_options_of_the_old_one() -> None:
    base = {"quantizer": {"kind": "fsq", "levels": [8, 5]}}
    assert merge(base, {"quantizer": {"kind": "vq", "codes": 9}}) == {"quantizer": {"kind": "vq", "codes": 9}}
    same = merge(base, {"quantizer": {"kind": "fsq"}})
    assert same == base
    assert merge(base, {"quantizer": "vq"}) == {"quantizer": "vq"}


def test_naming_the_kind_that_a_recipe_leaves_out_keeps_its_options() -> None:
    base = {"codec": {"network": {"channels": 32}}}
    merged = merge(base, {"codec": {"kind": "vqgan"}})
    assert merged == {"codec": {"kind": "vqgan", "network": {"channels": 32}}}


keys = st.text(max_size=8)
scalars = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=20)
)
values = st.recursive(
    st.one_of(scalars, st.lists(st.one_of(scalars, st.lists(scalars, max_size=2)), max_size=4)),
    lambda inner: st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, values, max_size=5))
def test_plain_values_survive_toml(table: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(table)) == table


def test_toml_leaves_out_what_is_none_and_keeps_nan() -> None:
    table = tomllib.loads(to_toml({"a": None, "b": {"c": None, "d": math.nan}}))
    assert table.keys() == {"b"}
    assert math.isnan(table["b"]["d"])


def test_a_configuration_survives_its_own_toml() -> None:
    config = Outer(inner=Inner(speed=1e-6), name='a "b"\n', sizes=(3,))
    assert Outer.parse(tomllib.loads(to_toml(config.plain()))) == config


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text("a = 1\nb = = 2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"recipe\.toml: not valid TOML: .*line 2"):
        read_toml(file)
