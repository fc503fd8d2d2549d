"""What decoders give: blocks of samples, and at the end what the file promised and what was lost."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melgpt.errors import UserError

Samples = NDArray[np.float32]
BLOCK = 1 << 20
"""Samples of a channel that are decoded at a time."""
LENGTH_TOLERANCE_SECONDS = 0.15
"""Encoder delay and container rounding: how much shorter than its header a whole file may be."""


class AudioError(UserError):
    """A file that cannot be read as sound."""


class TruncatedAudioError(AudioError):
    """A file that holds less sound than its header promises."""


@dataclass(frozen=True)
class Block:
    """Samples [T, channels] in the file's own scale, and their rate in Hz."""

    samples: Samples
    rate: int


@dataclass(frozen=True)
class Ending:
    """What a decoder knows at the end of a part."""

    seconds: float
    """Decoded."""
    promised: float | None
    """Seconds by the header, None where it has no exact length."""
    damage: str = ""
    """What could not be decoded before the end, in words; empty where nothing was lost."""
    reached_end: bool = False
    """The last sample of the promised length was decoded, whatever is missing before it."""
    exact: bool = False
    """What is promised is right to the sample."""


Decoding = Generator[Block, None, Ending]
