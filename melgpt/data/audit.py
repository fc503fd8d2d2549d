"""What can be wrong with a clip, how it is measured, and the table that lists it."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from numpy.typing import NDArray

SILENT = "silent"
TOO_SHORT = "too short"
UNREADABLE = "unreadable"
TRUNCATED = "truncated"
MISSING = "missing"
NO_LABEL = "no label"
NOT_LISTED = "not listed"
EXACT_DUPLICATE = "exact duplicate"
CLIPPED = "clipped"
TOO_LOUD = "too loud"
NEAR_DUPLICATE = "near duplicate"

LEFT_OUT = "left out"
KEPT = "kept"
AUDIT = "audit.csv"


@dataclass(frozen=True)
class AuditRow:
    """One finding: the file, where in it (seconds), why, and what was done about it."""

    file: str
    start: float
    reason: str
    action: Literal["left out", "kept"]
    detail: str

    def line(self) -> str:
        """For people."""
        place = f" at {self.start:g} s" if self.start else ""
        return f"{self.file}{place}: {self.reason}: {self.detail}"


def write_audit(file: TextIO, rows: Iterable[AuditRow]) -> None:
    """The findings as a table that people and spreadsheets can read."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(field.name for field in fields(AuditRow))
    writer.writerows(astuple(row) for row in rows)


def read_audit(path: Path) -> Iterator[AuditRow]:
    """The rows that `write_audit` wrote."""
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            action: Literal["left out", "kept"] = "left out" if row["action"] == LEFT_OUT else "kept"
            yield AuditRow(row["file"], float(row["start"]), row["reason"], action, row["detail"])


FULL_SCALE = 0.95
FLAT_RUN = 3


def clipped_share(samples: NDArray[np.float32]) -> float:
    """Share of samples [T] that lie in flat tops: at least three equal ones in a row, at full scale.

    Measured at the file's own rate: resampling makes the tops ring. Equal, not only near the peak, because
    the tops of a loud low tone are near the peak for many samples, too.
    """
    peak = _peak(samples)
    if peak < FULL_SCALE or len(samples) < FLAT_RUN:
        return 0.0
    # Within 1 % of the peak: 8-bit files and unequal channels clip at slightly different values.
    high = np.flatnonzero(np.abs(samples[1:]) >= 0.99 * peak) + 1
    flat = high[samples[high] == samples[high - 1]]
    starts = np.flatnonzero(np.diff(flat, prepend=-1) != 1)
    lengths = np.diff(starts, append=len(flat)) + 1
    return float(lengths[lengths >= FLAT_RUN].sum()) / len(samples)


def _peak(samples: NDArray[np.float32]) -> float:
    return max(float(samples.max(initial=0.0)), -float(samples.min(initial=0.0)))
