"""How much of the sounds' energy lies outside of the mel's band, by class, and which preset holds it.

Measured at each file's own rate, before it is resampled, so that what the mel's rate cannot hold is counted.
What lies below AUDIBLE_HZ (an offset, rumble) is not. All clips of a class count alike, soft or loud.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np

from melgpt.data.band_energy import AUDIBLE_HZ, Shares
from melgpt.types import PRESETS, MelScale

MUCH = 0.1
"""Share of a class's energy from which on it loses much where that is outside of the band (0.5 dB)."""
OFFERED = ("specvqgan", "hifigan", "wide")
"""Presets to choose from, the smallest first. The bands of `vocos` do not divide into the recipes' tokens."""
MOST_NAMED = 5


@cache
def edges_of(scale: MelScale) -> tuple[float, ...]:
    """Frequencies in Hz between which energy is counted: the edges of the presets' bands and the scale's."""
    scales = [scale, *(MelScale.preset(name) for name in PRESETS)]
    return tuple(sorted({edge for each in scales for edge in (each.f_min, each.f_max) if edge > AUDIBLE_HZ}))


@dataclass(frozen=True)
class Band:
    """Where the energy of each class lies."""

    edges: tuple[float, ...]
    """Frequencies in Hz, ascending."""
    classes: dict[str, tuple[float, ...]]
    """By label: the share of the energy below the first edge, between two edges, and above the last."""

    @classmethod
    def of_clips(cls, edges: tuple[float, ...], clips: Iterable[tuple[str, Shares]]) -> Self:
        """From label and shares of each clip: the mean of each class; silent clips do not count."""
        sums: dict[str, Any] = {}
        counts: dict[str, int] = {}
        for label, shares in clips:
            if shares.any():
                sums[label] = sums.get(label, 0.0) + shares
                counts[label] = counts.get(label, 0) + 1
        return cls(edges, {label: tuple(np.round(sums[label] / counts[label], 4).tolist()) for label in sums})

    @classmethod
    def of_manifest(cls, manifest: dict[str, Any]) -> Self | None:
        """As a data set keeps it; None for one of finished mels, or of an earlier version."""
        kept = manifest.get("band")
        if kept is None:
            return None
        return cls(tuple(kept["edges"]), {label: tuple(each) for label, each in kept["classes"].items()})

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"edges": list(self.edges), "classes": {k: list(each) for k, each in self.classes.items()}}

    def outside(self, scale: MelScale) -> dict[str, tuple[float, float]]:
        """Share of each class's energy below and above a scale's band, each in [0, 1]."""
        low = sum(edge <= scale.f_min for edge in self.edges)
        high = sum(edge <= scale.f_max for edge in self.edges)
        return {label: (sum(each[:low]), sum(each[high:])) for label, each in self.classes.items()}

    def losing(self, scale: MelScale) -> dict[str, tuple[float, float]]:
        """The same of the classes that lose much, the worst first."""
        much = {label: each for label, each in self.outside(scale).items() if sum(each) > MUCH}
        return dict(sorted(much.items(), key=lambda item: -sum(item[1])))

    def preset(self) -> str:
        """The smallest preset in whose band no class loses much; where there is none, the one that loses
        the least of all classes together."""
        losses = {name: self._total(MelScale.preset(name)) for name in OFFERED}
        holding = (name for name in OFFERED if not self.losing(MelScale.preset(name)))
        return next(holding, min(OFFERED, key=lambda name: losses[name]))

    def finding(self, scale: MelScale) -> str | None:
        """What the scale's band leaves out and the option that keeps it, in one line; None where no class
        loses much."""
        lost = self.losing(scale)
        if not lost:
            return None
        best = self.preset()
        kept = MelScale.preset(best)
        if self._total(kept) >= self._total(scale):
            advice = "no preset keeps it"
        elif beyond := self.losing(kept):
            advice = f"mel.preset={best} keeps most; no preset keeps {named(beyond, kept)}"
        else:
            advice = f"to keep it: mel.preset={best}"
        return (
            f"outside of the mel's band ({scale.f_min:g} to {scale.f_max:g} Hz), and so not learnt: "
            f"{named(lost, scale)}; {advice}"
        )

    def _total(self, scale: MelScale) -> float:
        return sum(map(sum, self.outside(scale).values()))


def named(lost: dict[str, tuple[float, float]], scale: MelScale) -> str:
    """`97 % of the energy of kick (below 125 Hz), 62 % of hat (above 7600 Hz)`."""
    words: list[str] = []
    for label, (below, above) in list(lost.items())[:MOST_NAMED]:
        sides = [f"below {scale.f_min:g} Hz"] * (below > MUCH / 2)
        sides += [f"above {scale.f_max:g} Hz"] * (above > MUCH / 2)
        of = "of the energy of " if not words else "of "
        words.append(f"{100 * (below + above):.0f} % {of}{label} ({' and '.join(sides)})")
    more = len(lost) - len(words)
    return ", ".join(words) + (f", and {more} more class{'es' if more > 1 else ''}" if more else "")
