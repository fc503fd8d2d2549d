"""HTML and SVG built from parts: every text is escaped unless a part made it."""

from html import escape


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


def document(title: str, body: Markup, *, style: str, script: str) -> str:
    """A whole page that may load nothing: its policy forbids every request."""
    policy = (
        "default-src 'none'; img-src data:; media-src data: blob:; "
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    page = tag("html", head, tag("body", body, tag("script", Markup(script))), lang="en")
    return f"<!doctype html>\n{page}\n"
