"""The kernels for maps: convolutions and norms with their gradients, on a CPU, in float32 or bfloat16."""

import ctypes
import math

import torch
from torch import Tensor

from melgpt.native.calls import FLOAT, INT, LONG, POINTER, Calls, address, function

LAST = torch.channels_last
FEW_TILES = 25
"""Tiles of a map that take as long as reading a layer's weights."""


class MapKernels(Calls):
    """What a codec does most; maps are [B, C, H, W] with C a multiple of 16, their channels last."""

    def __init__(self, library: ctypes.CDLL) -> None:
        super().__init__()
        self.multiplies_halves: bool = bool(library.multiplies_halves())
        """Whether the processor multiplies bfloat16."""
        self._outputs_of_tile: int = library.outputs_of_tile()
        self._convolve = function(library.convolve, [*[POINTER] * 4, *[INT] * 8])
        self._in_tiles = function(library.in_tiles, [*[POINTER] * 2, *[INT] * 6])
        self._convolve_back = function(library.convolve_back, [*[POINTER] * 5, *[INT] * 7])
        self._gradient_room = function(library.gradient_room, [INT] * 5, LONG)
        self._norm_room = function(library.norm_room, [INT] * 3, LONG)
        self._norm_silu = function(library.norm_silu, [*[POINTER] * 6, FLOAT, *[INT] * 6])
        self._norm_silu_back = function(library.norm_silu_back, [*[POINTER] * 9, *[INT] * 6])

    def convolves(self, kind: torch.dtype, inputs: int, outputs: int) -> bool:
        """Whether `convolve` is for maps of this precision and so many channels."""
        known = kind == torch.float32 or (kind == torch.bfloat16 and self.multiplies_halves)
        return known and not inputs % 16 and not outputs % 16

    def side(self, x: Tensor) -> int:
        """Results on a side of a tile, 2 or 4, that suits maps [B, C, H, W], however many there are.

        4 takes fewer products but for small maps, which have few tiles for each weight; rounding grows by the
        factor 10, which float32 alone bears.
        """
        if x.dtype == torch.bfloat16:
            return 2
        height, width = x.shape[2:]
        products = {s: (s + 2) ** 2 * (-(-height // s) * -(-width // s) + FEW_TILES) for s in (2, 4)}
        return min(products, key=products.__getitem__)

    def in_tiles(self, weight: Tensor, kind: torch.dtype, side: int, *, turned: bool = False) -> Tensor:
        """Weights [outputs, inputs, 3, 3] → as `convolve` reads them, in float32 or bfloat16.

        side: of the tiles, 2 or 4, in bfloat16 2. turned: those of the convolution that takes gradients of
        the results [B, outputs, H, W] to those of the maps [B, inputs, H, W].
        """
        outputs, inputs = weight.shape[:2]
        lanes, steps = (inputs, outputs) if turned else (outputs, inputs)
        panels, width = -(-lanes // self._outputs_of_tile), self._outputs_of_tile
        # As bfloat16 two steps lie side by side in each of the lanes.
        shape = (steps, width) if kind == torch.float32 else (steps // 2, width, 2)
        made = torch.empty(panels, (side + 2) ** 2, *shape, dtype=kind)
        if lanes % width:
            made[-1].zero_()
        exact = weight.detach().float().contiguous(memory_format=LAST)
        half = kind == torch.bfloat16
        self._in_tiles(address(exact), address(made), outputs, inputs, turned, side, half, self.cores())
        return made

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, outputs: int) -> Tensor:
        """Maps x [B, inputs, H, W] → [B, outputs, H, W] by 3x3, zeros around; in float32 or bfloat16.

        weight as of `in_tiles`, bias [outputs] float32. Raises ValueError for numbers of channels that do not
        fit or are no multiples of 16, for weights of another precision, and for bfloat16 where the processor
        does not multiply it.
        """
        batch, inputs, height, width = x.shape
        at_once, places = self._outputs_of_tile, weight.shape[1]
        fits = weight[0].numel() == places * inputs * at_once and len(weight) == -(-outputs // at_once)
        if not fits or x.dtype != weight.dtype or not self.convolves(x.dtype, inputs, outputs):
            raise ValueError(f"maps {list(x.shape)} ({x.dtype}) for weights {list(weight.shape)}")
        x = x.contiguous(memory_format=LAST)
        made = torch.empty((batch, outputs, height, width), dtype=x.dtype, memory_format=LAST)
        sizes = batch, height, width, inputs, outputs, math.isqrt(places) - 2
        half = x.dtype == torch.bfloat16
        self._convolve(*map(address, (x, weight, bias, made)), *sizes, half, self.cores())
        return made

    def convolve_back(self, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, inputs, H, W] and the gradient of their convolution by 3x3 [B, outputs, H, W], both in
        the same precision → gradients of its weights [outputs, inputs, 3, 3] and bias [outputs], float32.

        Raises ValueError for maps that do not fit, and as `convolve` does.
        """
        batch, inputs, height, width = x.shape
        outputs = gradient.shape[1]
        fits = gradient.shape == (batch, outputs, height, width) and gradient.dtype == x.dtype
        if not fits or not self.convolves(x.dtype, inputs, outputs):
            given = f"{list(gradient.shape)} ({gradient.dtype})"
            raise ValueError(f"a gradient {given} for maps {list(x.shape)} ({x.dtype})")
        x, gradient = (given.contiguous(memory_format=LAST) for given in (x, gradient))
        of_weight = torch.empty((outputs, inputs, 3, 3), memory_format=LAST)
        sizes = batch, height, width, inputs, outputs
        of_bias, room = torch.empty(outputs), torch.empty(self._gradient_room(*sizes))
        tensors = x, gradient, of_weight, of_bias, room
        self._convolve_back(*map(address, tensors), *sizes, x.dtype == torch.bfloat16, self.cores())
        return of_weight, of_bias

    def norm_silu(
        self, x: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float
    ) -> tuple[Tensor, Tensor]:
        """Maps x [B, C, H, W], channels last, → the SiLU of their group normalisation, and its statistics.

        In float32 or bfloat16, C a multiple of 16; weight, bias [C] float32; statistics [B, groups, 2].
        """
        made, stats = torch.empty_like(x), weight.new_empty(x.shape[0], groups, 2)
        sizes = _map_sizes(x)
        room = weight.new_empty(self._norm_room(*sizes))
        given = map(address, (x, weight, bias, made, stats, room))
        self._norm_silu(*given, epsilon, *sizes, groups, x.dtype == torch.bfloat16, self.cores())
        return made, stats

    def norm_silu_back(
        self, gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor, stats: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of x, weight and bias of `norm_silu` for one of its result, which lies as x does."""
        made, room = torch.empty_like(x), weight.new_empty(self._norm_room(*_map_sizes(x)))
        of_weight, of_bias = torch.empty_like(weight), torch.empty_like(bias)
        tensors = gradient, x, weight, bias, stats, made, of_weight, of_bias, room
        sizes = *_map_sizes(x), stats.shape[1], x.dtype == torch.bfloat16, self.cores()
        self._norm_silu_back(*map(address, tensors), *sizes)
        return made, of_weight, of_bias


def _map_sizes(x: Tensor) -> tuple[int, int, int]:
    """Of maps [B, C, H, W]: how many, places of each, channels."""
    return x.shape[0], x.shape[2] * x.shape[3], x.shape[1]
