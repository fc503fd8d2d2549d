"""What every page that we write must hold to: balanced tags, unique ids, nothing from elsewhere."""

import re
from html.parser import HTMLParser

EMPTY = {"meta", "br", "input", "img", "hr", "link"}


class Page(HTMLParser):
    """Reads a page; `texts` holds what a person would read, `scripts` the code, `links` where it points."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.faults: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"<{name}> is never closed" for name in self.open]

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in EMPTY:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        if not self.open or self.open.pop() != name:
            self.faults.append(f"</{name}> closes nothing, at {self.getpos()}")

    def handle_data(self, text: str) -> None:
        kind = self.open[-1] if self.open else ""
        (self.scripts if kind in ("script", "style") else self.texts).append(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def links(self) -> list[str]:
        return [
            value
            for _, attributes in self.elements
            for name, value in attributes.items()
            if name in ("src", "href", "xlink:href", "action", "poster", "srcset", "data") and value
        ]


def check_page(html: str) -> Page:
    """Read a page and hold it to the rules."""
    page = Page(html)
    assert page.faults == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.links:
        assert link.startswith(("data:", "#")) or re.fullmatch(r"[a-z]+\.html", link), link[:80]
    assert not {"link", "iframe", "object", "embed", "base"} & {name for name, _ in page.elements}
    code = "".join(page.scripts)
    assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttpRequest|import\(", code)
    policy = next(a["content"] for n, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    return page
