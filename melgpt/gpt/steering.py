"""A wish for sounds, a class or a video or both, checked, turned into prefixes for a prior, and written."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from melgpt.errors import UserError
from melgpt.gpt.long import sample_windows, strides
from melgpt.gpt.order import unflatten
from melgpt.gpt.prior import Prior
from melgpt.gpt.sampling import Sampling, sample


def takes_label(prior: Prior) -> bool:
    """Whether a class steers it; a conditioning that does not say otherwise is taken to."""
    return bool(getattr(prior.conditioning, "takes_label", True))


@dataclass(frozen=True)
class Steering:
    """What a prior is asked for."""

    prior: Prior
    index: int
    """Index of the class; the number of labels for none."""
    features: Tensor | None
    """Features [L, D] of a video of any length."""

    @classmethod
    def of(cls, prior: Prior, label: str | None, features: Tensor | None) -> "Steering":
        """Raises UserError for what this prior cannot be steered by, and where nothing is given."""
        by_label = takes_label(prior)
        if label is not None and not by_label:
            raise UserError(f"this model is steered by a video alone: leave the label '{label}' out")
        if features is not None and not prior.takes_features:
            raise UserError(
                "this model is steered by a class alone, it sees no video: leave the features out"
            )
        if features is None and label is None:
            ways = ["features of a video"] * prior.takes_features + ["a label"] * by_label
            raise UserError(f"give {' or '.join(ways)} to say what the sounds are to be")
        if features is not None:
            features = _checked(features, prior.conditioning.config.depth)
        return cls(prior, len(prior.config.labels) if label is None else prior.label_index(label), features)

    @property
    def label(self) -> str | None:
        """Whole name of the class; None for none."""
        labels = self.prior.config.labels
        return labels[self.index] if self.index < len(labels) else None

    def prefix(self, clips: int, column: int = 0) -> Tensor:
        """The prefix [B, P, C] of so many clips, for a window that starts at a column."""
        device = self.prior.gpt.device
        label = torch.full((clips,), self.index, device=device)
        if self.features is None:
            return self.prior.prefix(label)
        past = column / self.prior.config.columns
        shown = self.prior.conditioning.config.see(self.features, past).to(device)
        return self.prior.prefix(label, shown.expand(clips, -1, -1))

    def write(self, columns: int, options: Sampling, streams: Sequence[torch.Generator]) -> list[Tensor]:
        """Code grids [1, H, W], one a stream; beyond the prior's own length in a window that slides."""
        prior, clips = self.prior, len(streams)
        if columns > prior.config.columns:
            return list(torch.cat(list(self.stream(columns, options, streams)), dim=-1).split(1))
        tokens = sample(
            prior.gpt,
            self.prefix(clips),
            prior.conditioning.nothing(clips),
            length=columns * prior.config.rows,
            end=prior.end,
            rows=prior.config.rows,
            sampling=options,
            streams=streams,
        )
        return [unflatten(row[None], prior.config.rows) for row in tokens]

    def stream(self, columns: int, options: Sampling, streams: Sequence[torch.Generator]) -> Iterator[Tensor]:
        """The next columns [B, H, n] of the grids, window after window; no sound ends before its time."""
        prior, clips = self.prior, len(streams)
        written = sample_windows(
            prior.gpt,
            lambda column: self.prefix(clips, column),
            prior.conditioning.nothing(clips),
            plan=strides(columns, prior.config.columns),
            rows=prior.config.rows,
            codes=prior.config.codebook,
            sampling=options,
            streams=streams,
        )
        for tokens in written:
            yield unflatten(tokens, prior.config.rows)


def _checked(features: Tensor, depth: int) -> Tensor:
    if not isinstance(features, Tensor) or features.is_complex():
        raise UserError(f"features are a tensor of numbers [frames, {depth}], not {type(features).__name__}")
    if features.ndim != 2 or features.shape[1] != depth or not len(features):
        raise UserError(
            f"this model reads features [frames, {depth}] of a video, not {list(features.shape)}; "
            "rgb and flow of 1024 each are joined to 2048"
        )
    if not math.isfinite(float(features.sum())):
        raise UserError("the features of the video are no finite numbers")
    return features.float()
