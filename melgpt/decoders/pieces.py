"""Codes of any length → sharp mels, piece by piece, in the memory of one piece.

A decoder's `reach` tells how much of the neighbouring pieces each piece must see: the pieces together are the
sharp mel of the whole smooth one.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from melgpt.codec.codec import Codec
from melgpt.codec.pieces import mel_pieces
from melgpt.decoders.base import MelDecoder
from melgpt.nn.windows import middles, overlapping

BLOCK = 16
"""Frames whose noise is drawn at once: of fewer than 16 numbers torch draws others."""


def refine_whole(codec: Codec, decoder: MelDecoder, codes: Tensor, noise: "Noise") -> Tensor:
    """Codes [B, H, W] → sharp mel [B, F, N] in one piece."""
    z = codec.quantizer.lookup(codes)
    smooth = codec.mel_of(z)
    if not decoder.draws:
        return smooth
    return decoder.refine(smooth, z, noise.next(smooth.shape[-1]).to(smooth.device))


def refined_pieces(
    codec: Codec, decoder: MelDecoder, grids: Iterator[Tensor], columns: int, noise: "Noise"
) -> Iterator[Tensor]:
    """The next frames [B, F, n] of the sharp mel of a grid that comes in columns [B, H, n].

    So many columns are decoded together; a grid of no more gives what `refine_whole` does.
    """
    if not decoder.draws:
        yield from mel_pieces(codec, grids, columns)
        return
    token, bands = codec.config.network.token_size[1], codec.scale.n_mels
    edge = -(-decoder.reach // token) * token
    seen: list[Tensor] = []

    def recorded() -> Iterator[Tensor]:
        for grid in grids:
            seen.append(grid)
            yield grid

    def inputs() -> Iterator[Tensor]:
        """Smooth mel, noise and looked-up codes of the same frames, one below the other: [B, C, n]."""
        for smooth in mel_pieces(codec, recorded(), columns):
            codes = torch.cat(seen, dim=-1)
            count = smooth.shape[-1] // token
            seen[:] = [codes[..., count:]]
            z = codec.quantizer.lookup(codes[..., :count].to(smooth.device))
            spread = z.flatten(1, 2).repeat_interleave(token, dim=-1)
            yield torch.cat([smooth, noise.next(smooth.shape[-1]).to(smooth.device), spread], dim=1)

    def refine(part: Tensor) -> Tensor:
        smooth, drawn, spread = part.split([bands, bands, part.shape[1] - 2 * bands], dim=1)
        return decoder.refine(smooth, spread[..., ::token].unflatten(1, (-1, codec.config.rows)), drawn)

    length = max(columns * token, 4 * edge)
    yield from middles(overlapping(inputs(), length, 2 * edge), refine, edge)


class Noise:
    """Standard normal noise along time that is the same whatever pieces it is asked for in."""

    def __init__(self, streams: Sequence[torch.Generator], bands: int) -> None:
        """streams: one for each clip, on the CPU."""
        self.streams, self.bands = streams, bands
        self._rest = torch.zeros(len(streams), bands, 0)

    @classmethod
    def of_take(cls, seeds: Sequence[int], take: int, bands: int) -> "Noise":
        """The noise of a take, counted from 0; seeds: one for each clip."""
        streams = [torch.Generator().manual_seed((seed + 2 + take) % (1 << 63)) for seed in seeds]
        return cls(streams, bands)

    def next(self, frames: int) -> Tensor:
        """The next frames [B, F, n]."""
        missing = frames - self._rest.shape[-1]
        blocks = [
            torch.stack([torch.randn(BLOCK, self.bands, generator=stream).T for stream in self.streams])
            for _ in range(-(-missing // BLOCK))
        ]
        drawn = torch.cat([self._rest, *blocks], dim=-1)
        self._rest = drawn[..., frames:]
        return drawn[..., :frames]
