"""Whether generated clips are copies: their distances, and each suspect beside its nearest training clip."""

from collections.abc import Sequence
from typing import Any

from melgpt.evaluation.report import tables
from melgpt.evaluation.report.markup import Markup, join, tag
from melgpt.evaluation.report.names import MISSING, number
from melgpt.evaluation.report.players import Card, card
from melgpt.evaluation.report.plots import distances
from melgpt.evaluation.report.rows import Result
from melgpt.evaluation.shown import NEAREST

FEWEST_PAIRS = 3
"""Pairs that are shown where fewer clips are flagged: the nearest ones."""


def copies(result: Result, cards: Sequence[Card]) -> Markup | None:
    """The section, None for a result that did not look for copies."""
    memory: dict[str, Any] = result.get("memorisation") or {}
    clips: list[dict[str, Any]] = [
        clip for clip in memory.get("clips") or [] if clip.get("distance") is not None
    ]
    if not clips:
        return None
    clips.sort(key=lambda clip: (not clip.get("flagged"), clip["distance"]))
    plot = tag(
        "figure",
        tag("figcaption", tag("strong", "Distance to the nearest training clip")),
        distances(
            [clip["distance"] for clip in clips],
            [bool(clip.get("flagged")) for clip in clips],
            (memory.get("test_to_train") or {}).get("quantiles") or {},
            what="Histogram of the distances of generated clips to the nearest training clip",
        ),
        tag("p", "Bars: generated clips. Band: held-out clips, a line at their median.", class_="quiet"),
        class_="panel wide",
    )
    flagged = memory.get("flagged") or 0
    intro = tag("p", f"{flagged} of {len(clips)} generated clips {'is' if flagged == 1 else 'are'} flagged.")
    rule = tag("p", f"Rule: {memory['rule']}.", class_="quiet rule") if memory.get("rule") else None
    folded = tag("details", tag("summary", "All clips"), _table(clips))
    return join(intro, rule, plot, _pairs(clips, cards), folded)


def _pairs(clips: Sequence[dict[str, Any]], cards: Sequence[Card]) -> Markup | None:
    """Flagged clips, or else the nearest, each beside its training clip, where both can be heard."""
    made = {each.index: each for each in cards if each.index is not None and each.row != NEAREST}
    real = {each.index: each for each in cards if each.index is not None and each.row == NEAREST}
    both = [clip for clip in clips if clip["index"] in made and clip["index"] in real]
    most = max(sum(bool(clip.get("flagged")) for clip in both), FEWEST_PAIRS)
    pairs = [_pair(clip, made[clip["index"]], real[clip["index"]]) for clip in both[:most]]
    if not pairs:
        return None
    head = tag("h3", "Generated clips beside the training clips nearest to them")
    return join(head, tag("div", *pairs, class_="pairs"))


def _pair(clip: dict[str, Any], made: Card, real: Card) -> Markup:
    nearest = clip.get("nearest") or {}
    where = f"{nearest.get('path', '')} from {number(nearest.get('start'))} s"
    words = f"distance {number(clip['distance'])}, nearer than {_per_cent(clip)} of the held-out clips"
    return tag(
        "article",
        tag(
            "p",
            tag("strong", f"Clip {clip['index']}, {clip.get('label') or 'no label'}"),
            tag("mark", "flagged") if clip.get("flagged") else None,
            tag("span", words, class_="quiet"),
        ),
        tag(
            "div",
            card(made, head="generated"),
            card(real, head="nearest training clip", note=where),
            class_="both",
        ),
        class_="pair",
    )


def _per_cent(clip: dict[str, Any]) -> str:
    """`percentile` is the share of held-out clips that are nearer to a training clip."""
    percentile = clip.get("percentile")
    return MISSING if percentile is None else f"{100 * (1 - percentile):.0f} %"


def _table(clips: Sequence[dict[str, Any]]) -> Markup:
    columns = [
        tables.Column("Clip"),
        tables.Column("Label"),
        tables.Column("Distance"),
        tables.Column("Percentile", meaning="share of held-out clips that are nearer to a training clip"),
        tables.Column("In features"),
        tables.Column("Shift in s"),
        tables.Column("Longest run", meaning="longest run of tokens that also stands in the training clip"),
        tables.Column("Nearest training clip"),
        tables.Column("From s"),
        tables.Column("Flagged"),
    ]
    lines = []
    for clip in clips:
        nearest = clip.get("nearest") or {}
        lines.append(
            [
                tables.count(clip["index"]),
                tables.words(str(clip.get("label") or "")),
                tables.plain(clip["distance"]),
                tables.plain(clip.get("percentile")),
                tables.plain(clip.get("features_distance")),
                tables.plain(clip.get("shift_seconds")),
                tables.count(clip.get("longest_run")),
                tables.words(f"{nearest.get('path', '')} ({nearest.get('label', '')})"),
                tables.plain(nearest.get("start")),
                tables.words("yes" if clip.get("flagged") else ""),
            ]
        )
    classes = ["flagged" if clip.get("flagged") else "" for clip in clips]
    return tables.sortable(columns, lines, caption="All generated clips, nearest first", classes=classes)
