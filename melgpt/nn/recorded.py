"""The blocks of a GPT that writes on a CPU, recorded once as calls of kernels and played at each position.

Between two kernels lie some ten microseconds of Python: as much as a small product takes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from melgpt.native.calls import Tape
from melgpt.nn.transformer import Angles, LayerCache, Place


class RecordedBlocks:
    """`blocks` for one position of each sequence at a time, whose products, norms and attention are kernels.

    The first call records, the second one checks that the record misses nothing: what is no kernel is not on
    the tape, and then the blocks go on as they are.
    """

    def __init__(self, blocks: Sequence[nn.Module], cache: list[LayerCache]) -> None:
        self.cache = cache
        self._blocks, self._room = blocks, cache[0].keys.shape[2]
        self._position = torch.zeros(1, dtype=torch.int64)
        self._given: list[Tensor] = []
        self._tape, self._made = Tape(), torch.empty(0)
        self._checked, self._whole = False, True

    def __call__(self, x: Tensor, position: int, angles: Angles | None) -> Tensor:
        """x [B, 1, C] at a position with its angles → [B, 1, C], which the next call writes over.

        Raises ValueError where the cache has no room for the position.
        """
        if position >= self._room:
            raise ValueError(f"position {position} in a cache with room for {self._room}")
        self._position.fill_(position)
        given = [x, *(angles or ())]
        if not self._given:
            self._given = [each.clone() for each in given]
            with self._tape.recording():
                self._made = self._eagerly()
            return self._made
        for kept, new in zip(self._given, given, strict=True):
            kept.copy_(new)
        if not self._whole:
            return self._eagerly()
        self._tape.play()
        if not self._checked:
            played, expected = self._made.clone(), self._eagerly()
            self._checked, self._whole = True, torch.equal(played, expected)
            return expected
        return self._made

    def _eagerly(self) -> Tensor:
        x, angles = self._given[0], (self._given[1], self._given[2]) if len(self._given) > 1 else None
        place = Place.at(self._position, self.cache)
        for block, kept in zip(self._blocks, self.cache, strict=True):
            x = block(x, place, angles, kept)
        return x
