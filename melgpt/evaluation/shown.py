"""A sound that a report lets one hear and see."""

from dataclasses import dataclass

from melgpt.types import Audio, Mel

NEAREST = "nearest training clip"
"""Row of the training clips that stand beside generated ones, with the same `index`."""


@dataclass(frozen=True)
class Shown:
    """One sound of a report: audio [1, T] and mel [1, F, N] in [0, 1]."""

    row: str
    """Name of its row in the result, or NEAREST."""
    label: str
    title: str
    audio: Audio
    mel: Mel
    index: int | None = None
    """`index` in the result's memorisation: of the generated clip, or of the one that this is nearest to."""
