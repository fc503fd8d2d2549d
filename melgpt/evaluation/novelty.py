"""How near new clips come to the training clips, beside how near held-out ones come."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melgpt.evaluation import intervals
from melgpt.evaluation.hearing import Heard
from melgpt.evaluation.listeners import Listeners
from melgpt.evaluation.memorisation import (
    RULE,
    Closeness,
    feature_distance,
    flagged,
    percentiles,
    quantiles,
    without_silent_end,
)
from melgpt.evaluation.references import Rendering, Sides
from melgpt.evaluation.shifted import nearest_over_shifts
from melgpt.evaluation.token_runs import longest_runs
from melgpt.gpt.order import flatten
from melgpt.progress import progress


class Novelty:
    """The training clips with their features and tokens, and the held-out clips as the yardstick."""

    def __init__(self, rendering: Rendering, listeners: Listeners, sides: Sides) -> None:
        self.rendering, self.listeners = rendering, listeners
        self.rows = rendering.store.rows("train")
        heard = [listeners.hear(block) for block in rendering.blocks(self.rows)]
        self.training = Heard(
            np.concatenate([each.features for each in heard]), np.concatenate([each.logits for each in heard])
        )
        self.silence = rendering.model.codec.silent_column().cpu().flatten()
        self.tokens = self._plain(rendering.tokens(self.rows, "tokens of the training clips"))
        recoded = rendering.through_codec(rendering.stored(sides.held), "held-out clips: codec")
        mels = rendering.hear(rendering.sound(recoded, "held-out clips: vocoder"))
        self.held = self.of(mels, rendering.tokens(sides.held, "held-out clips: tokens"))

    def of(self, mels: Tensor, grids: Sequence[Tensor] | None) -> Closeness:
        """Clips [B, F, frames] as they are heard, with their grids [H, W] where they have any."""
        with progress("nearest training clips", len(self.rows)) as bar:
            nearest = nearest_over_shifts(mels, self.rendering.blocks(self.rows), bar)
        runs = None if grids is None else longest_runs(self._plain(grids), self.tokens)
        return Closeness(nearest, feature_distance(self.listeners.hear(mels), self.training), runs)

    def share(self, clips: Closeness, *, resamples: int) -> dict[str, float]:
        """The share of clips that are flagged, with its interval."""
        return intervals.of_mean(flagged(clips, self.held).astype(np.float64), resamples=resamples).plain()

    def told(self, clips: Closeness, labels: NDArray[np.int64], names: tuple[str, ...]) -> dict[str, Any]:
        """The whole finding as plain types."""
        store, scale = self.rendering.store, self.rendering.scale
        marks, share = flagged(clips, self.held), percentiles(clips.mel.distance, self.held.mel.distance)
        ratios = percentiles(clips.ratio, self.held.ratio)
        told = []
        for index, label in enumerate(labels):
            nearest = store.clip(int(self.rows[clips.mel.row[index]]))
            told.append(
                {
                    "index": index,
                    "label": names[label],
                    "distance": float(clips.mel.distance[index]),
                    "ratio": float(clips.ratio[index]),
                    "ratio_percentile": float(ratios[index]),
                    "features_distance": float(clips.features[index]),
                    "shift_seconds": float(clips.mel.shift[index] / scale.frames_per_second),
                    "percentile": float(share[index]),
                    "longest_run": 0 if clips.runs is None else clips.runs[index].length,
                    "nearest": {"path": nearest.path, "label": nearest.label, "start": nearest.start},
                    "flagged": bool(marks[index]),
                }
            )
        held_runs = [] if self.held.runs is None else [run.length for run in self.held.runs]
        return {
            "rule": RULE,
            "tokens_per_clip": int(np.median([len(each) for each in self.tokens])),
            "test_to_train": {
                "clips": len(self.held.features),
                "quantiles": quantiles(self.held.mel.distance),
                "ratio_quantiles": quantiles(self.held.ratio),
                "features_quantiles": quantiles(self.held.features),
                "longest_run_quantiles": quantiles(np.array(held_runs)) if held_runs else {},
            },
            "flagged": int(marks.sum()),
            "clips": told,
        }

    def _plain(self, grids: Sequence[Tensor]) -> list[NDArray[np.int64]]:
        return [without_silent_end(flatten(grid[None])[0].to(torch.int64), self.silence) for grid in grids]
