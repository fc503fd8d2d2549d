"""A mel of any length → sound, piece by piece, in the memory of one piece.

A vocoder with a `reach` (frames to either side that a sample depends on) gives just the sound of the whole.
One that takes the `past` goes on from the phases of what is there; its pieces overlap and are cross-faded, as
are those of any other.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

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
    pieces = _pieces(mels, frames, OVERLAP if reach is None else 2 * reach)
    if reach is None:
        return _joined(vocoder, pieces, generator)
    return _cut(vocoder, pieces, reach, generator)


def _pieces(mels: Iterator[Tensor], frames: int, shared: int) -> Iterator[tuple[Tensor, bool]]:
    """Pieces [B, F, frames] that share so many frames with the next, whether it is the last."""
    held: list[Tensor] = []
    for mel in mels:
        held = [torch.cat([*held, mel], dim=-1)]
        # One frame more than a piece: only then another one follows.
        while held[0].shape[-1] > frames:
            yield held[0][..., :frames], False
            held = [held[0][..., frames - shared :]]
    if held:
        yield held[0], True


def _cut(
    vocoder: Any, pieces: Iterator[tuple[Tensor, bool]], reach: int, generator: torch.Generator | None
) -> Iterator[Tensor]:
    edge, first = reach * vocoder.scale.hop, 0
    for mel, last in pieces:
        samples = vocoder(mel, generator=generator)
        yield samples[:, first : samples.shape[1] - (0 if last else edge)]
        first = edge


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
