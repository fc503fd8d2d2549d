"""Mels and grids of any length through the codec, piece by piece, in the memory of one piece.

The codec normalises over the whole map that it works on, so that pieces are never quite the whole: they
overlap. Of the codes each piece gives those of its middle; the mels of two pieces are cross-faded. What is
one piece is worked on as it is as a whole.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.codec.codec import Codec


def code_pieces(codec: Codec, mels: Iterator[Tensor], columns: int) -> Iterator[Tensor]:
    """The next columns [B, H, n] of the codes of a mel in [0, 1] that comes in frames [B, F, n].

    So many columns, at least 4, are encoded together; a mel of no more gives what `codec.tokenize` does.
    """
    columns = max(columns, 4)
    frames, margin = codec.config.network.token_size[1], max(1, columns // 8)
    device = codec.before.weight.device
    first = 0
    whole = _in_whole_columns(mels, frames)
    for mel, new, last in _windows(whole, columns * frames, (columns - 2 * margin) * frames):
        codes = codec.tokenize(mel.to(device))
        codes = codes[..., codes.shape[-1] - new // frames + first :]
        yield codes if last else codes[..., :-margin]
        first = margin


def mel_pieces(codec: Codec, grids: Iterator[Tensor], columns: int) -> Iterator[Tensor]:
    """The next frames [B, F, n] of the mel of a grid that comes in columns [B, H, n].

    So many columns, at least 2, are decoded together; a grid of no more gives what `codec.detokenize` does.
    Pieces overlap by a quarter.
    """
    columns = max(columns, 2)
    frames, shared = codec.config.network.token_size[1], max(1, columns // 4)
    device = codec.before.weight.device
    tail: Tensor | None = None
    for grid, new, last in _windows(grids, columns, columns - shared):
        mel = codec.detokenize(grid.to(device))[..., (grid.shape[-1] - new) * frames :]
        if tail is not None:
            rise = torch.linspace(0, 1, tail.shape[-1], device=device)
            mel[..., : tail.shape[-1]] = tail.lerp(mel[..., : tail.shape[-1]], rise)
        if last:
            yield mel
        else:
            yield mel[..., : -shared * frames]
            tail = mel[..., -shared * frames :].clone()


def _in_whole_columns(mels: Iterator[Tensor], frames: int) -> Iterator[Tensor]:
    """The mel followed by silence up to whole columns of so many frames, as `codec.tokenize` pads it."""
    count, last = 0, None
    for mel in mels:
        yield mel
        count, last = count + mel.shape[-1], mel
    if last is not None and count % frames:
        yield F.pad(last[..., :0], (0, -count % frames))


def _windows(parts: Iterator[Tensor], length: int, step: int) -> Iterator[tuple[Tensor, int, bool]]:
    """Windows [..., length] of what comes in parts, how much of their end is new or shared, whether the last.

    Each begins `step` after the one before; the last one ends with the whole, and is as long.
    """
    held: Tensor | None = None
    begun = False
    for part in parts:
        held = part if held is None else torch.cat([held, part], dim=-1)
        # What the window before holds stays, for a last window that needs more of it.
        while held.shape[-1] > (step if begun else 0) + length:
            first = step if begun else 0
            held = held[..., first:]
            yield held[..., :length], length, False
            begun = True
    if held is not None:
        rest = held.shape[-1] - (step if begun else 0)
        yield held[..., -length:], rest, True
