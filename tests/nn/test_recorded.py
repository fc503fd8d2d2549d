"""Blocks that were recorded give what the blocks give, also where a part of them is no kernel."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from melgpt.native.kernels import Kernels
from melgpt.nn.linear import packed
from melgpt.nn.recorded import RecordedBlocks
from melgpt.nn.transformer import Block, BlockConfig, LayerCache, Place, rotary_angles

SIZES = {"layers": 2, "width": 32, "heads": 2, "dropout": 0.1}
CONFIGS = {"modern": BlockConfig.parse(SIZES), "seed": BlockConfig.seed(**SIZES)}
BATCH, ROOM = 3, 12


class Odd(nn.Module):
    """A block with something of torch's behind it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        return self.block(x, *args).roll(1, -1) + x


def _cache() -> list[LayerCache]:
    shape = (BATCH, 2, ROOM, 16)
    return [LayerCache(torch.zeros(shape), torch.zeros(shape)) for _ in range(2)]


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("kind", CONFIGS)
def test_played_blocks_give_what_the_blocks_give(kernels: Kernels, kind: str, odd: bool) -> None:
    blocks = nn.ModuleList(Block(CONFIGS[kind]) for _ in range(2)).eval()
    if odd:
        blocks = nn.ModuleList(map(Odd, blocks))
    both, found, expected = (_cache(), _cache()), [], []
    with torch.inference_mode(), packed(blocks, BATCH, kernels, rounded=True):
        recorded = RecordedBlocks(list(blocks), both[0])
        for position in range(ROOM):
            x = torch.randn(BATCH, 1, 32)
            angles = rotary_angles(torch.tensor([position]), 16) if kind == "modern" else None
            found.append(recorded(x, position, angles).clone())
            place = Place.at(torch.tensor([position]), both[1])
            for block, cache in zip(blocks, both[1], strict=True):
                x = block(x, place, angles, cache)
            expected.append(x)
        with pytest.raises(ValueError, match=f"position {ROOM} in a cache with room for {ROOM}"):
            recorded(x, ROOM, angles)
    assert torch.equal(torch.cat(found), torch.cat(expected))
    assert all(torch.equal(a.keys, b.keys) for a, b in zip(*both, strict=True))
    assert recorded._whole != odd, "what is no kernel was noticed"
    assert recorded._tape._calls
