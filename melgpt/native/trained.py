"""The kernels for training a GPT on a CPU: dropout, attention with it, RMSNorm, SwiGLU."""

import ctypes

import torch
from torch import Tensor

from melgpt.native.calls import FLOAT, INT, LONG, POINTER, WORD, address, function, rows_of
from melgpt.native.maps import MapKernels

LEVELS = 1 << 16
"""Of the numbers that dropout draws."""
MOST_POSITIONS = (1 << 16) - 1
"""That attention knows: the place of a weight must fit a word."""


class TrainingKernels(MapKernels):
    """Those for maps, and what training a GPT does most beside its products."""

    def __init__(self, library: ctypes.CDLL) -> None:
        super().__init__(library)
        self._rms_forth = function(library.rms_norm_forth, [*[POINTER] * 4, FLOAT, LONG, *[INT] * 3])
        self._rms_back = function(library.rms_norm_back, [*[POINTER] * 7, LONG, *[INT] * 3])
        self._rms_room = function(library.rms_norm_room, [LONG, INT], LONG)
        self._gate = function(library.trained_gate, [*[POINTER] * 3, LONG, *[INT] * 3])
        self._dropout = function(library.dropout, [*[POINTER] * 2, LONG, *[WORD] * 3, FLOAT, INT, INT])
        attention = [*[POINTER] * 11, *[WORD] * 3, FLOAT, *[INT] * 7]
        self._attention = function(library.attention, attention)
        self._attention_room = function(library.attention_room, [INT] * 4, LONG)

    def rms_norm_forth(self, x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        """`rms_norm` of x [..., C], float32 or bfloat16, C a multiple of 16, and what its gradients need."""
        x = x.contiguous()
        made, inverse = torch.empty_like(x), weight.new_empty(x.numel() // x.shape[-1])
        sizes = *rows_of(x), x.dtype == torch.bfloat16, self.cores()
        self._rms_forth(*map(address, (x, weight, made, inverse)), epsilon, *sizes)
        return made, inverse

    def rms_norm_back(
        self, gradient: Tensor, x: Tensor, weight: Tensor, inverse: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of x, in its precision, and of the weight, in float32, for one of the result."""
        x, gradient = x.contiguous(), gradient.contiguous()
        made, of_weight = torch.empty_like(x), torch.empty_like(weight)
        room = weight.new_empty(self._rms_room(*rows_of(x)))
        tensors = gradient, x, weight, inverse, made, of_weight, room
        self._rms_back(*map(address, tensors), *rows_of(x), x.dtype == torch.bfloat16, self.cores())
        return made, of_weight

    def gate(self, x: Tensor) -> Tensor:
        """SwiGLU of x [..., 2 C] → [..., C], in float32 or bfloat16, C a multiple of 16."""
        made = x.new_empty(*x.shape[:-1], x.shape[-1] // 2)
        self._gated(x.contiguous(), None, made, rows_of(made))
        return made

    def gate_back(self, gradient: Tensor, x: Tensor) -> Tensor:
        """Gradients of x for one of the result."""
        made = torch.empty_like(x, memory_format=torch.contiguous_format)
        self._gated(x.contiguous(), gradient.contiguous(), made, rows_of(gradient))
        return made

    def _gated(self, x: Tensor, gradient: Tensor | None, made: Tensor, rows: tuple[int, int]) -> None:
        sizes = *rows, x.dtype == torch.bfloat16, self.cores()
        self._gate(*map(address, (x, gradient, made)), *sizes)

    def dropout(self, x: Tensor, below: int, seed: int) -> Tensor:
        """x in float32 or bfloat16: 0 where a draw of 16 bits is less than `below`, the rest made up for it.

        The same numbers are dropped for the same seed of 63 bits, whatever the threads.
        """
        x = x.contiguous()
        made = torch.empty_like(x)
        sizes = *_draws(below, seed), x.dtype == torch.bfloat16, self.cores()
        self._dropout(address(x), address(made), x.numel(), *sizes)
        return made

    def attends(self, q: Tensor) -> bool:
        """Whether `attention` is for queries [B, heads, S, D] like these."""
        known = q.dtype == torch.float32 or (q.dtype == torch.bfloat16 and self.multiplies_halves)
        return known and q.shape[2] <= MOST_POSITIONS

    def attention(
        self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool, below: int, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Attention of q, k, v [B, heads, S, D] → [B, heads, S, D], and sums [B, heads, S] for its gradients.

        Weights are dropped as numbers are by `dropout`. causal: positions see those up to their own.
        """
        made = _dense_rows(q)
        sums = q.new_empty(q.shape[:3], dtype=torch.float32)
        self._attend_trained(q, (q, k, v, None, made, None, None, None), sums, causal, below, seed)
        return made, sums

    def attention_back(
        self,
        gradient: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        sums: Tensor,
        *,
        causal: bool,
        below: int,
        seed: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of q, k and v for one of the result, with what `attention` gave and was given."""
        made = _dense_rows(q), _dense_rows(q), _dense_rows(q)
        self._attend_trained(q, (q, k, v, gradient, None, *made), sums, causal, below, seed)
        return made

    def _attend_trained(
        self, q: Tensor, tensors: tuple[Tensor | None, ...], sums: Tensor, causal: bool, below: int, seed: int
    ) -> None:
        batch, heads, count, length = q.shape
        given = [x if x is None or x.stride(-1) == 1 else x.contiguous() for x in tensors]
        apart = torch.tensor([(0, 0, 0) if x is None else x.stride()[:3] for x in given])
        room = sums.new_empty(self._attention_room(batch * heads, count, length, self.cores()))
        sizes = batch, heads, count, length, causal, q.dtype == torch.bfloat16, self.cores()
        self._attention(*map(address, (*given, apart, sums, room)), *_draws(below, seed), *sizes)


def _draws(below: int, seed: int) -> tuple[int, int, int, float]:
    """The halves of a seed of 63 bits, the draw below which a number is dropped, what makes up for that."""
    return seed & 0xFFFFFFFF, seed >> 32, below, LEVELS / (LEVELS - below)


def _dense_rows(x: Tensor) -> Tensor:
    """Room for x [B, heads, S, D] with the heads of a position beside each other."""
    batch, heads, count, length = x.shape
    return x.new_empty(batch, count, heads, length).transpose(1, 2)
