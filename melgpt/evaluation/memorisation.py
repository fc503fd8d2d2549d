"""Whether new clips are copies: each one's nearest training clip, held against how near unseen clips come.

The yardstick are held-out clips after the same way through codec and vocoder: they cannot be copies.
A clip is flagged where it lies nearer to one training clip, beside the distance to its fifth nearest, than 99
of 100 held-out ones do: the distance itself says little, since a clip of rain is near to every other, and a
copy is near to one alone. Or where it shares a longer run of tokens with a training clip than 99 of 100
held-out ones do, and at least LEAST_RUN. (Of 22 training clips through the codec, on ESC-10 with recipe tiny,
the distance alone finds 27 %, the ratio 41 %, the runs all.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from melgpt.evaluation.hearing import Heard
from melgpt.evaluation.neighbours import distances
from melgpt.evaluation.shifted import Nearest
from melgpt.evaluation.token_runs import Run

SHARE = 0.01
LEAST_RUN = 16
RULE = (
    "flagged where the mel distance to the nearest training clip, over all shifts in time, is a smaller "
    "share of that to the fifth nearest than for 99 of 100 held-out clips (through codec and vocoder), or "
    "where a run of tokens shared with a training clip is longer than for 99 of 100 of them and has at "
    f"least {LEAST_RUN} tokens"
)
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Closeness:
    """How near clips come to the training clips: by mel, by features, and by tokens where there are any."""

    mel: Nearest
    features: NDArray[np.float64]
    runs: Sequence[Run] | None = None

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Distance to the nearest training clip over that to the fifth nearest, [N]; small for a copy."""
        ratio: NDArray[np.float64] = self.mel.distance / np.maximum(self.mel.further, 1e-9)
        return ratio


def feature_distance(clips: Heard, training: Heard) -> NDArray[np.float64]:
    """Distance [N] of each clip to the training clip whose features are nearest."""
    nearest: NDArray[np.float64] = distances(clips.features, training.features).min(1)
    return nearest


def percentiles(values: NDArray[np.float64], yardstick: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the yardstick [M] that lies below or at each value [N]."""
    share: NDArray[np.float64] = np.searchsorted(np.sort(yardstick), values, side="right") / len(yardstick)
    return share


def flagged(clips: Closeness, held: Closeness) -> NDArray[np.bool_]:
    """Which clips are flagged, [N], see RULE."""
    near = percentiles(clips.ratio, held.ratio) < SHARE
    if clips.runs is None or held.runs is None:
        return near
    usual = np.quantile([run.length for run in held.runs], 1 - SHARE)
    lengths = np.array([run.length for run in clips.runs])
    found: NDArray[np.bool_] = near | ((lengths > usual) & (lengths >= LEAST_RUN))
    return found


def quantiles(values: NDArray[Any]) -> dict[str, float]:
    """The quantiles of a distribution, by their names."""
    return {str(q): float(np.quantile(values, q)) for q in QUANTILES}


def without_silent_end(tokens: Tensor, silence: Tensor) -> NDArray[np.int64]:
    """Tokens [S] up to the last column that is not silence [H], each told apart by its row, too.

    All clips share their silence, which is no copying; and a token can only be a copy of one in its own row.
    """
    rows = len(silence)
    columns = tokens[: len(tokens) // rows * rows].reshape(-1, rows)
    loud = (columns != silence).any(1).nonzero().flatten()
    kept = columns[: int(loud[-1]) + 1 if len(loud) else 0].numpy().astype(np.int64)
    numbered: NDArray[np.int64] = (kept * rows + np.arange(rows)).reshape(-1)
    return numbered
