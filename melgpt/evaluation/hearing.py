"""Clips as every listener hears them, and what it makes of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

BATCH = 32
MOST_SECONDS = 10.0
"""Clips are heard up to this length."""


@dataclass(frozen=True)
class Heard:
    """What a listener makes of clips: the features that are compared [B, D] and the logits [B, classes]."""

    features: NDArray[np.float64]
    logits: NDArray[np.float64]

    def __getitem__(self, rows: Any) -> "Heard":
        return Heard(self.features[rows], self.logits[rows])


def fit_frames(mel: Tensor, frames: int) -> Tensor:
    """mel [..., N] followed by silence, or cut, to so many frames."""
    return F.pad(mel[..., :frames], (0, max(0, frames - mel.shape[-1])))


@torch.inference_mode()
def hear(listener: Any, mels: Tensor) -> Heard:
    """mels: [B, F, N] in [0, 1]."""
    listener.eval()
    features, logits = [], []
    for batch in mels.split(BATCH):
        found = listener.features(batch, (listener.compared, "logits"))
        features.append(found[listener.compared].double())
        logits.append(found["logits"].double())
    return Heard(torch.cat(features).numpy(), torch.cat(logits).numpy())
