"""A mel of any length → sound, piece by piece, in the memory of one piece.

A vocoder whose `reach` is known gives just the sound of the whole. The pieces of any other overlap and are
cross-faded; one that takes the past goes on from the phases of what is there.
"""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from melgpt.nn.windows import middles, overlapping
from melgpt.vocoders.base import Vocoder

OVERLAP = 24
"""Frames that pieces share where there is no reach: a third of a second at the originals' scale."""


def least_frames(vocoder: Vocoder) -> int:
    """Shortest piece of which at least half is new."""
    return 2 * (OVERLAP if vocoder.reach is None else 2 * vocoder.reach)


def in_pieces(
    vocoder: Vocoder, mels: Iterator[Tensor], frames: int, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """The next samples [B, T] of the mels [B, F, n] that come one after the other; T = hop * all frames.

    frames: length of a piece, more than the overlap; one that holds all of the mel is as good as the whole.
    """
    reach = vocoder.reach
    if reach is None:
        return _joined(vocoder, overlapping(mels, frames, OVERLAP), generator)
    work = partial(vocoder, generator=generator)
    return middles(overlapping(mels, frames, 2 * reach), work, reach * vocoder.scale.hop)


def _joined(
    vocoder: Vocoder, pieces: Iterator[tuple[Tensor, bool]], generator: torch.Generator | None
) -> Iterator[Tensor]:
    shared = OVERLAP * vocoder.scale.hop
    past: Tensor | None = None
    for mel, last in pieces:
        options = {"past": past} if vocoder.takes_past and past is not None else {}
        samples = vocoder(mel, generator=generator, **options)
        if past is not None:
            rise = torch.linspace(0, 1, shared, device=samples.device)
            samples[:, :shared] = past.lerp(samples[:, :shared], rise)
        if last:
            yield samples
        else:
            yield samples[:, :-shared]
            past = samples[:, -shared:].clone()
