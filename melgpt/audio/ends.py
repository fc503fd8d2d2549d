"""Where a new sound ends within its last column of codes, and how loud it may be."""

import torch
from torch import Tensor

from melgpt import types
from melgpt.audio.audio import Audio
from melgpt.audio.mel import magnitudes
from melgpt.audio.output import PEAK_DBFS
from melgpt.types import MelScale

INAUDIBLE_DB = 60.0
"""A frame that is further below the loudest one is taken for silence."""


def audible_frames(mel: Tensor, scale: MelScale) -> int:
    """Frames of a mel [1, F, N] up to the last that can be heard; at least 1."""
    level = magnitudes(mel, scale).amax((0, 1))  # [N]
    heard = (level >= level.max() * 10 ** (-INAUDIBLE_DB / 20)).nonzero()
    return int(heard[-1]) + 1


def with_headroom(audio: types.Audio) -> Audio:
    """The same sound, softer where its peak lies above PEAK_DBFS: a file would cut off what passes 0 dBFS."""
    most = 10 ** (PEAK_DBFS / 20)
    peak = float(torch.linalg.vector_norm(audio.samples, torch.inf)) if audio.samples.numel() else 0.0
    return Audio(audio.samples * (most / peak) if peak > most else audio.samples, audio.rate)
