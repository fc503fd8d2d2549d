"""The registry of kinds."""

import sys
from pathlib import Path

import pytest

from melgpt.codec.codec import CodecConfig
from melgpt.errors import UserError
from melgpt.registry import KINDS, build, configure, resolve

OUTSIDE = """
from torch import nn
from melgpt.config import KindConfig

class Foo(nn.Module):
    class Config(KindConfig):
        kind: str = "outside_part:Foo"
        size: int = 3

    def __init__(self, config, extra=0):
        super().__init__()
        self.config, self.extra = config, extra
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "outside_part.py").write_text(OUTSIDE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "outside_part", raising=False)
    return "outside_part:Foo"


@pytest.mark.parametrize(("family", "kind"), [(f, k) for f, kinds in KINDS.items() for k in kinds])
def test_every_kind_has_a_configuration_of_its_name(family: str, kind: str) -> None:
    config = configure(family, kind)
    assert isinstance(config, resolve(family, kind).Config)
    assert config.kind == kind
    assert configure(family, config.plain()) == config
    assert configure(family, config) is config


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown quantizer kind 'fqs'; did you mean 'fsq'"):
        resolve("quantizer", "fqs")


@pytest.mark.parametrize("values", [{}, {"levels": [3]}, {"kind": 3}, 7, None])
def test_a_part_without_a_kind_names_all_there_are(values: object) -> None:
    with pytest.raises(UserError, match="a quantizer needs kind = one of: " + ", ".join(KINDS["quantizer"])):
        configure("quantizer", values)


def test_a_part_outside_the_package_needs_no_line_here(outside: str) -> None:
    config = configure("quantizer", {"kind": outside, "size": 5})
    part = build("quantizer", config, extra=2)
    assert (part.config.size, part.extra) == (5, 2)


@pytest.mark.parametrize(
    "kind", ["no_such_package:Foo", "outside_part:Bar", "outside_part:nn", ":Foo", ".relative:Foo", "json:"]
)
def test_a_part_that_cannot_be_had_is_refused_in_one_line(outside: str, kind: str) -> None:
    with pytest.raises(UserError, match=f"quantizer kind '{kind}'") as error:
        resolve("quantizer", kind)
    assert "\n" not in str(error.value)


def test_a_wrong_option_of_a_kind_is_named_below_its_part() -> None:
    with pytest.raises(UserError, match=r"option quantizer: unknown option 'levls'; did you mean 'levels'"):
        CodecConfig.parse({"quantizer": {"kind": "fsq", "levls": [3]}})
