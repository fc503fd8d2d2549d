"""The originals' measures by the originals' protocol, with their Melception where the user has it.

Iashin and Rahtu 2021, https://arxiv.org/abs/2110.08791: mels of 848 frames; FID and KID on the 2048 features,
the inception score on the logits without bias, MKL on the softmaxed logits of pairs. Here a pair is of one
class: a new sound stands for no recording.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melgpt.errors import UserError
from melgpt.evaluation.class_scores import inception_score, paired_divergence
from melgpt.evaluation.distances import frechet_distance, kernel_distance
from melgpt.evaluation.hearing import fit_frames
from melgpt.progress import progress
from melgpt.types import MelScale

FRAMES = 848
BATCH = 8
SPLITS = 10
"""Of the inception score."""
Features = dict[str, NDArray[np.float64]]


@torch.inference_mode()
def features(melception: Any, mels: Tensor) -> Features:
    """mels [B, F, N] in [0, 1] → what the measures need, each [B, width]."""
    names = ("2048", "logits_unbiased", "logits")
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    with progress("Melception", len(mels)) as bar:
        for batch in fit_frames(mels, FRAMES).split(BATCH):
            for name, values in melception.features(batch, names).items():
                found[name].append(values.double())
            bar.advance(len(batch))
    return {name: torch.cat(values).numpy() for name, values in found.items()}


def measures(
    made: Features, real: Features, made_labels: NDArray[np.int64], real_labels: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """melception_frechet, _kid, _kl, and _inception_score where there are clips for its splits.

    The bounds of KID and inception score are one standard deviation over subsets or splits, as the originals
    print it; the others have none.
    """
    fid = frechet_distance(made["2048"], real["2048"])
    kid = kernel_distance(made["2048"], real["2048"])
    rows, of_rows = _pairs(made_labels, real_labels)
    kl = paired_divergence(made["logits"][rows], real["logits"][of_rows])
    found = {
        "melception_frechet": _told(fid, 0.0),
        "melception_kid": _told(kid.mean, kid.std),
        "melception_kl": _told(kl, 0.0),
    }
    if len(made_labels) >= SPLITS:
        score = inception_score(made["logits_unbiased"], splits=SPLITS)
        found["melception_inception_score"] = _told(score.mean, score.std)
    return found


def check(melception: Any, scale: MelScale) -> None:
    """Raises UserError for a network that is no Melception or reads another mel scale."""
    if melception.config.kind != "melception":
        raise UserError(f"--melception wants a Melception, not a {melception.config.kind}; see --extractor")
    if melception.scale != scale:
        raise UserError(f"Melception reads the mel scale {melception.scale!r}, the data has {scale!r}")


def _pairs(made: NDArray[np.int64], real: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of both that are of one class; where there are fewer real ones, each stands in several pairs."""
    rows, of_rows = [], []
    for label in np.intersect1d(made, real):
        one, other = np.flatnonzero(made == label), np.flatnonzero(real == label)
        rows.append(one)
        of_rows.append(np.resize(other, len(one)))
    return np.concatenate(rows), np.concatenate(of_rows)


def _told(value: float, spread: float) -> dict[str, float]:
    return {"value": value, "low": value - spread, "high": value + spread}
