"""A mel of any length → sound, piece by piece, in the memory of one piece.

A vocoder with a `reach` (frames to either side that a sample depends on) gives just the sound of the whole.
One that takes the `past` goes on from the phases of what is there; its pieces overlap and are cross-faded, as
are those of any other.
"""

import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from melgpt.nn.windows import middles, overlapping

OVERLAP = 24
"""Frames that pieces share where there is no reach: a third of a second at the originals' scale."""


def least_frames(vocoder: Any) -> int:
    """Shortest piece of which at least half is new."""
    reach = getattr(vocoder, "reach", None)
    return 2 * (OVERLAP if reach is None else 2 * int(reach))


def in_pieces(
    vocoder: Any, mels: Iterator[Tensor], frames: int, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """The next samples [B, T] of the mels [B, F, n] that come one after the other; T = hop * all frames.

    frames: length of a piece, more than the overlap; one that holds all of the mel is as good as the whole.
    """
    reach = getattr(vocoder, "reach", None)
    if reach is None:
        return _joined(vocoder, overlapping(mels, frames, OVERLAP), generator)
    work = partial(vocoder, generator=generator)
    return middles(overlapping(mels, frames, 2 * reach), work, reach * vocoder.scale.hop)


def _joined(
    vocoder: Any, pieces: Iterator[tuple[Tensor, bool]], generator: torch.Generator | None
) -> Iterator[Tensor]:
    shared = OVERLAP * vocoder.scale.hop
    goes_on = "past" in inspect.signature(vocoder.forward).parameters
    past: Tensor | None = None
    for mel, last in pieces:
        options = {"past": past} if goes_on and past is not None else {}
        samples = vocoder(mel, generator=generator, **options)
        if past is not None:
            rise = torch.linspace(0, 1, shared, device=samples.device)
            samples[:, :shared] = past.lerp(samples[:, :shared], rise)
        if last:
            yield samples
        else:
            yield samples[:, :-shared]
            past = samples[:, -shared:].clone()
