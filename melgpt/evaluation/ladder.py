"""The quality ladder: what each step between a real sound and a new one loses, against the sound itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from melgpt import registry
from melgpt.audio.mel import frame_count
from melgpt.data.sounds import recordings
from melgpt.data.store import Store, spread
from melgpt.errors import UserError
from melgpt.evaluation import intervals
from melgpt.evaluation.intervals import Interval
from melgpt.evaluation.references import DECODED, Rendering, Rows
from melgpt.evaluation.sound_distances import envelope_correlation, multi_resolution_stft, onset_sharpness
from melgpt.progress import say
from melgpt.types import MelScale

MOST = 100
"""Clips that are compared sample by sample."""


@dataclass(frozen=True)
class Step:
    """A step of the ladder: its sounds [B, T] and their measures, of all and of each class."""

    stage: str
    what: str
    samples: Tensor
    measures: dict[str, Interval]
    by_class: dict[str, dict[str, Interval]]


def climb(rendering: Rendering, rows: Rows, *, resamples: int, seed: int) -> list[Step]:
    """The steps from the real clips through mel, codec and vocoder; distances where the sounds are there."""
    rows = spread(rows, MOST)
    mels = rendering.stored(rows)
    store, lengths = rendering.store, rendering.store.frames[rows].clip(max=rendering.frames)
    labels = store.label_ids[rows]
    groups = {store.labels[label]: np.flatnonzero(labels == label) for label in np.unique(labels)}
    real = original_sounds(store, rows, rendering.frames)
    plain = registry.build(
        "vocoder", registry.configure("vocoder", {"kind": "griffin_lim", "mel": rendering.scale.plain()})
    ).to(rendering.model.device)
    own = str(getattr(rendering.model.vocoder.config, "kind", "of no name"))
    smooth = rendering.through_codec(mels, "codec", refined=False)
    made = {
        "mel + griffin_lim": ("mel, then Griffin-Lim, which was trained on nothing", mels, plain),
        "mel + vocoder": (f"mel, then the model's vocoder ({own})", mels, None),
        "codec + vocoder": (f"mel, codec, then the model's vocoder ({own})", smooth, None),
    }
    if rendering.model.decoder.draws:
        refined = rendering.through_codec(mels, "decoder")
        made[DECODED] = (f"mel, codec, decoder, then the model's vocoder ({own})", refined, None)
    steps = [] if real is None else [Step("real", "the recording itself", real, {}, {})]
    for stage, (what, values, vocoder) in made.items():
        samples = rendering.sound(values, stage, vocoder)
        heard = lengths.clip(max=frame_count(samples.shape[-1], rendering.scale))
        distances = {"mel_l1": _mel_l1(rendering.hear(samples), mels, heard)}
        if real is not None:
            distances |= sound_distances(samples, real, lengths * rendering.scale.hop, rendering.scale)
        means, *by_class = (
            {
                name: intervals.of_mean(each[group], resamples=resamples, seed=seed)
                for name, each in distances.items()
            }
            for group in (np.arange(len(rows)), *groups.values())
        )
        steps.append(Step(stage, what, samples, means, dict(zip(groups, by_class, strict=True))))
    return steps


def sound_distances(
    made: Tensor, real: Tensor, lengths: NDArray[Any], scale: MelScale
) -> dict[str, NDArray[np.float64]]:
    """Of pairs of sounds [B, T] up to their lengths: distances and correlations, each [B]."""
    names = ("stft", "stft_in_band", "envelope", "envelope_in_band", "onset")
    found: dict[str, list[float]] = {name: [] for name in names}
    band = scale.f_min, scale.f_max
    for pair in zip(made, real, lengths, strict=True):
        length = min(len(pair[0]), len(pair[1]), int(pair[2]))
        one, other = pair[0][None, :length], pair[1][None, :length]
        found["stft"].append(float(multi_resolution_stft(one, other, scale)))
        found["stft_in_band"].append(float(multi_resolution_stft(one, other, scale, band)))
        found["envelope"].append(float(envelope_correlation(one, other, scale)))
        found["envelope_in_band"].append(float(envelope_correlation(one, other, scale, band)))
        found["onset"].append(float((onset_sharpness(one, scale) - onset_sharpness(other, scale)).abs()))
    return {name: np.array(values) for name, values in found.items()}


def original_sounds(store: Store, rows: Rows, frames: int) -> Tensor | None:
    """The recordings of clips, followed by silence or cut to `frames`: [B, T]; None where they are gone."""
    length = frames * store.scale.hop
    try:
        sounds = [torch.from_numpy(samples[:length]) for _, samples in recordings(store, map(int, rows))]
    except UserError as error:
        say(f"the mels alone are compared: {error}")
        return None
    return torch.stack([F.pad(samples, (0, length - len(samples))) for samples in sounds])


def _mel_l1(made: Tensor, real: Tensor, lengths: NDArray[Any]) -> NDArray[Any]:
    """[B] over each clip's own frames."""
    pairs = zip(made, real, lengths, strict=True)
    return np.array([float((one[:, :n] - other[:, :n]).abs().mean()) for one, other, n in pairs])
