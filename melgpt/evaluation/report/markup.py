"""HTML and SVG built from parts: every text is escaped unless a part made it."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


EMPTY = frozenset({"meta", "br", "input"})
"""Elements of HTML without content and end tag."""


def tag(name: str, /, *content: str | None, **attributes: str | float | bool | None) -> Markup:
    """An element. Attributes lose a trailing `_`, other `_` become `-`; None and False are left out."""
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.removesuffix("_").replace("_", "-")
        words.append(key if value is True else f'{key}="{escape(_text(value))}"')
    start = f"<{' '.join(words)}>"
    return Markup(start if name in EMPTY else f"{start}{join(*content)}</{name}>")


def join(*content: str | None) -> Markup:
    """Parts one after the other; plain strings are escaped."""
    return Markup("".join(each if isinstance(each, Markup) else escape(each) for each in content if each))


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def document(title: str, body: Markup, *, styles: Sequence[Path], script: Path) -> str:
    """A whole page with the text of its files inside; its policy forbids every request."""
    policy = (
        "default-src 'none'; img-src data:; media-src data: blob:; "
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )
    style = "".join(path.read_text(encoding="utf-8") for path in styles)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    program = tag("script", Markup(script.read_text(encoding="utf-8")))
    return f"<!doctype html>\n{tag('html', head, tag('body', body, program), lang='en')}\n"


def data_script(name: str, data: Any) -> Markup:
    """Data for a script of the page, as JSON that cannot end its element early."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return tag("script", Markup(text), type="application/json", id=name)
