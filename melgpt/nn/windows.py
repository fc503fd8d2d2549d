"""Pieces of what comes along time: overlapping windows in, and the middle of what is made of each out."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def overlapping(parts: Iterator[Tensor], length: int, shared: int) -> Iterator[tuple[Tensor, bool]]:
    """Windows [..., length] that share so much with the next, and whether each is the last (and shorter)."""
    held: list[Tensor] = []
    for part in parts:
        held = [torch.cat([*held, part], dim=-1)]
        # A little more than a window: only then another one follows.
        while held[0].shape[-1] > length:
            yield held[0][..., :length], False
            held = [held[0][..., length - shared :]]
    if held:
        yield held[0], True


def middles(
    windows: Iterator[tuple[Tensor, bool]], work: Callable[[Tensor], Tensor], edge: int
) -> Iterator[Tensor]:
    """What `work` makes of each window [..., n], without `edge` of the result where another window has it.

    Of windows that share 2 * edge of the result; together they are the result of the whole, where nothing
    depends on what lies further away than `edge`.
    """
    first = 0
    for window, last in windows:
        made = work(window)
        yield made[..., first : made.shape[-1] - (0 if last else edge)]
        first = edge
