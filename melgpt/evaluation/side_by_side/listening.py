"""Blind listening: pairs of clips of one label from two reports, in random order and without names.

Both sounds of a pair are heard equally loud, as the louder one seems the better one.
The page holds the sounds and nothing of where they come from. The key, a file of its own, says it:
`{"format", "page", "seed", "reports": [{"name", "fingerprint"}], "pairs": [{"id", "label", "a", "b"}]}`;
`a` and `b` are places in `reports`. The page saves votes as
`{"format", "page", "finished", "votes": [{"pair", "choice": "a" | "b" | "none"}]}`.
"""

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from melgpt.audio.io import read
from melgpt.audio.loudness import loudness
from melgpt.evaluation.report.markup import Markup, data_script, document, join, tag
from melgpt.evaluation.report.page import STYLE
from melgpt.evaluation.report.rows import Row
from melgpt.evaluation.report.stored import Stored, write_text

FORMAT = 1
PAGE, KEY = "listen.html", "listen.key.json"
LISTEN_STYLE, LISTEN_SCRIPT = (Path(__file__).with_name(f"listen.{kind}") for kind in ("css", "js"))


@dataclass(frozen=True)
class Pair:
    """Two sounds of one label; `reports` and `files` in the order A, B."""

    label: str
    reports: tuple[int, int]
    files: tuple[Path, Path]


def draw_pairs(reports: Sequence[Stored], rows: Sequence[Row], *, most: int, seed: int) -> list[Pair]:
    """At most `most` pairs, spread evenly over labels and over pairs of reports, in random order.

    Within every two reports each is A as often as B, but for an odd one.
    """
    random = np.random.default_rng(seed)
    heard = [_by_label(report, row) for report, row in zip(reports, rows, strict=True)]
    lists = [
        _of_one_label(left, right, heard, label, random)
        for left, right in combinations(range(len(reports)), 2)
        for label in heard[left]
        if label in heard[right]
    ]
    chosen: list[Pair] = []
    # Round by round, one of each list: so that few pairs still cover all labels.
    for place in range(max(map(len, lists), default=0)):
        chosen += [pairs[place] for pairs in lists if place < len(pairs)]
    chosen = chosen[:most]
    turned = _turn_half(chosen, random)
    return [turned[place] for place in random.permutation(len(turned))]


def _by_label(report: Stored, row: Row) -> dict[str, list[Path]]:
    sounds: dict[str, list[Path]] = {}
    for each in report.sounds(row["name"]):
        if each.get("picked"):
            continue  # a likely copy is no fair sample of a model
        sounds.setdefault(each["label"], []).append(report.folder / each["file"])
    return sounds


def _of_one_label(
    left: int, right: int, heard: list[dict[str, list[Path]]], label: str, random: np.random.Generator
) -> list[Pair]:
    first, second = heard[left][label], heard[right][label]
    count = min(len(first), len(second))
    orders = (random.permutation(len(sounds))[:count] for sounds in (first, second))
    return [Pair(label, (left, right), (first[i], second[j])) for i, j in zip(*orders, strict=True)]


def _turn_half(pairs: list[Pair], random: np.random.Generator) -> list[Pair]:
    turned: list[Pair] = []
    for both in dict.fromkeys(pair.reports for pair in pairs):
        mine = [pair for pair in pairs if pair.reports == both]
        for place, pair in zip(random.permutation(len(mine)), mine, strict=True):
            turn = slice(None, None, -1 if place % 2 else 1)
            turned.append(Pair(pair.label, pair.reports[turn], pair.files[turn]))  # type: ignore[arg-type]
    return turned


def write_listening(folder: Path, reports: Sequence[Stored], pairs: Sequence[Pair], *, seed: int) -> None:
    """Write the page and its key."""
    key: dict[str, Any] = {
        "format": FORMAT,
        "seed": seed,
        "reports": [{"name": report.name, "fingerprint": report.fingerprint} for report in reports],
        "pairs": [
            {"id": place, "label": pair.label, "a": pair.reports[0], "b": pair.reports[1]}
            for place, pair in enumerate(pairs)
        ],
    }
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    write_text(folder / PAGE, _page(name, pairs))
    write_text(folder / KEY, json.dumps({"page": name, **key}, indent=1, ensure_ascii=False) + "\n")


def _page(name: str, pairs: Sequence[Pair]) -> str:
    sounds = [
        {"id": place, "label": pair.label, **dict(zip("ab", _players(pair.files), strict=True))}
        for place, pair in enumerate(pairs)
    ]
    data = {"format": FORMAT, "page": name, "pairs": sounds}
    body = tag(
        "main",
        tag("p", "Blind listening", class_="kicker"),
        tag("h1", "Which sounds better?"),
        tag(
            "p",
            "Two sounds made for the same label by two models; which is which is hidden. Play both, then "
            "choose. Votes stay in this browser until they are saved.",
            class_="quiet",
        ),
        _stage(),
        _end(),
        tag("noscript", tag("p", "This page needs JavaScript.")),
    )
    return document(
        "Blind listening",
        join(body, data_script("pairs", data)),
        styles=[STYLE, LISTEN_STYLE],
        script=LISTEN_SCRIPT,
    )


def _players(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Each sound with its volume, 0 to 1: the louder one is turned down to the other's loudness."""
    levels = [loudness(read(file)) for file in files]
    least = min(levels)
    return [
        {
            "sound": _sound(file),
            "volume": round(10 ** ((least - level) / 20), 4) if math.isfinite(least) else 1,
        }
        for file, level in zip(files, levels, strict=True)
    ]


def _sound(file: Path) -> str:
    return f"data:audio/ogg;base64,{base64.b64encode(file.read_bytes()).decode('ascii')}"


def _stage() -> Markup:
    """What one pair needs: its label, two players, three answers, the way back and forth."""
    plays = [
        tag(
            "button",
            tag("span", f"Play {side.upper()}", class_="what"),
            tag("span", tag("span", class_="bar"), class_="track"),
            tag("kbd", side.upper()),
            type="button",
            id=f"play-{side}",
            class_="play",
        )
        for side in "ab"
    ]
    answers = [
        _answer("a", "A is better", "1"),
        _answer("none", "No difference", "0"),
        _answer("b", "B is better", "2"),
    ]
    return tag(
        "section",
        tag("p", tag("span", id="place"), tag("strong", id="label"), class_="pair-head", aria_live="polite"),
        tag("div", *plays, class_="plays"),
        tag("div", *answers, class_="answers"),
        tag("p", id="hint", class_="quiet", aria_live="polite"),
        tag(
            "p",
            _button("back", "Earlier pair", "←"),
            _button("on", "Next pair", "→"),
            class_="ways",
        ),
        id="stage",
    )


def _answer(choice: str, words: str, key: str) -> Markup:
    shown = words, tag("kbd", key)
    return tag("button", *shown, type="button", data_choice=choice, aria_pressed="false", disabled=True)


def _button(name: str, words: str, key: str | None = None) -> Markup:
    return tag("button", words, tag("kbd", key) if key else None, type="button", id=name)


def _end() -> Markup:
    return tag(
        "section",
        tag("p", id="count", aria_live="polite"),
        tag("p", _button("finish", "Finish"), _button("save", "Save votes"), class_="ways"),
        tag("p", id="result", aria_live="polite"),
        id="end",
    )
