"""What the originals (SpecVQGAN and its followers) do to a sound and to a mel before they train on it.

Their published mels were made of videos of at most 10 s: mono, 16 bit, 22050 Hz; a shorter sound was repeated
until it was long enough, with 512 samples of silence between (half a frame of AAC at 44.1 kHz).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from melgpt.errors import UserError
from melgpt.types import Audio, MelScale

SCALE = "specvqgan"
"""Preset of the mel scale of all their files."""
GAP_SAMPLES = 512
FRAMES = 860
"""Mel frames of their files: 10 s."""
CROP_FRAMES = 848
"""What their codec is trained on and their codes stand for: columns 6..853 of the 860."""


def originals_length(audio: Audio, seconds: float) -> Audio:
    """The sound [B, T] in 16-bit steps, repeated or cut to exactly so many seconds."""
    samples = (audio.samples * 32768).round().clamp(-32768, 32767) / 32768
    length = round(seconds * audio.rate)
    if samples.shape[-1] < length:
        once = F.pad(samples, (0, GAP_SAMPLES))
        samples = once.repeat(1, -(-length // once.shape[-1]))
    return Audio(samples[..., :length].contiguous(), audio.rate)


def centre_crop(mel: NDArray[np.floating], frames: int = CROP_FRAMES) -> NDArray[np.floating]:
    """The middle of a mel [F, N]; of 860 frames columns 6..853. Raises UserError for a shorter mel."""
    if mel.shape[-1] < frames:
        raise UserError(f"the mel has {mel.shape[-1]} frames, the originals' crop needs at least {frames}")
    first = (mel.shape[-1] - frames) // 2
    return mel[..., first : first + frames]


def check_scale(scale: MelScale, place: str) -> None:
    """Raises UserError where mels of the originals are to be used on another scale."""
    if scale != MelScale.preset(SCALE):
        raise UserError(
            f"the mels in {place} are of the scale '{SCALE}', not of {scale!r}: take mel.preset={SCALE} "
            f"(`prepare`: --mel {SCALE}), or prepare the sounds themselves"
        )


def as_batch(mel: NDArray[np.floating]) -> torch.Tensor:
    """A mel [F, N] as a batch of one [1, F, N] float32."""
    return torch.from_numpy(np.ascontiguousarray(mel, np.float32))[None]
