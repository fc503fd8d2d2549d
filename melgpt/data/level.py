"""Sounds above full scale, as float files and some decoders give them: which are kept, scaled or left out.

Up to 2 dB above full scale a file stays as it is: a mel holds it, but for at most 1.7 dB of a pure tone at
200 Hz. Further up a mel would be cut off at its upper end, so the whole file is scaled down to full scale, by
which nothing but its level is lost. Above 30 dB a file holds integers or damage and is left out.
"""

from pathlib import Path

from melgpt.audio.io import read_blocks
from melgpt.types import Audio

SCALED_DB = 2.0
"""Peak above full scale from which a file is scaled down."""
ABSURD_DB = 30.0
"""Peak above full scale from which a file is left out."""


def gain_for(peak: float) -> float:
    """Factor for a file of this peak: 1 where it stays as it is, 0 where it cannot be used."""
    if peak > 10 ** (ABSURD_DB / 20):
        return 0.0
    return 1 / peak if peak > 10 ** (SCALED_DB / 20) else 1.0


def file_gain(path: Path) -> float:
    """The factor for a whole file, by its peak at its own rate. Raises as `read_blocks` does."""
    return gain_for(max(float(block.samples.abs().max()) for block in read_blocks(path)))


def louder(audio: Audio, gain: float) -> Audio:
    """The sound times `gain`."""
    return audio if gain == 1 else Audio(audio.samples * gain, audio.rate)
