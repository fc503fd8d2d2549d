"""What is written in C beside this file, for tensors; where it cannot be had, all goes more slowly."""

import ctypes
import functools
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from melgpt.native import compiler, wanted
from melgpt.native.calls import FLOAT, INT, LONG, POINTER, address, function, lent, rows_of
from melgpt.native.trained import TrainingKernels

MOST_SAMPLES = 4096
"""Of a window that is refined: a transform lies on the stack."""


class Kernels(TrainingKernels):
    """Those for training, and what a GPT that writes and a vocoder that refines do most, in float32."""

    def __init__(self, library: ctypes.CDLL) -> None:
        super().__init__(library)
        self._outputs: int = library.outputs_at_once()
        self._in_order = function(library.in_order, [POINTER, POINTER, *[INT] * 3])
        self._linear = function(library.linear, [*[POINTER] * 6, *[INT] * 5])
        self._rms_norm = function(library.rms_norm, [*[POINTER] * 3, INT, INT, FLOAT, INT])
        self._layer_norm = function(library.layer_norm, [*[POINTER] * 4, INT, INT, FLOAT, INT])
        self._gelu = function(library.gelu, [POINTER, POINTER, *[INT] * 3])
        self._swiglu = function(library.swiglu, [POINTER, POINTER, *[INT] * 3])
        attention = [*[POINTER] * 5, FLOAT, *[POINTER] * 3, *[INT] * 3, LONG, POINTER, *[INT] * 2]
        self._attend = function(library.attend, attention)
        self._refine = function(library.refine, [*[POINTER] * 8, *[INT] * 5])
        self._refine_room = function(library.refine_room, [INT] * 3, LONG)
        self._mel = function(library.mel, [*[POINTER] * 10, *[INT] * 6])
        self._mel_room = function(library.mel_room, [INT] * 2, LONG)

    def in_order(self, weight: Tensor) -> Tensor:
        """Weights [outputs, inputs], inputs even → as `linear` reads them, rounded to bfloat16."""
        weight = weight.float().contiguous()
        outputs, inputs = weight.shape
        room = -(-outputs // self._outputs) * self._outputs
        ordered = weight.new_zeros(room, inputs, dtype=torch.bfloat16)
        self._in_order(address(weight), address(ordered), outputs, inputs, self.cores())
        return ordered

    def linear(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        outputs: int,
        *,
        onto: Tensor | None = None,
        halves: bool = False,
    ) -> Tensor:
        """x [..., inputs] → [..., outputs] in the precision of x; weight as of `in_order`, bias float32.

        onto [..., outputs]: what the product is added to. halves: x may be rounded to bfloat16 as well, which
        is done where the processor multiplies that.
        Raises ValueError for another number of inputs.
        """
        if x.shape[-1] != weight.shape[1]:
            raise ValueError(f"{x.shape[-1]} inputs for weights of {weight.shape[1]}")
        rows = x.float().contiguous()
        made = rows.new_empty(*x.shape[:-1], outputs)
        base = None if onto is None else onto.float().contiguous()
        tensors = weight, rows, bias, base, made, torch.empty_like(rows)
        self._linear(*map(address, tensors), *rows_of(rows), outputs, halves, self.cores())
        return made.to(x.dtype)

    def rms_norm(self, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """x [..., C] float32 over its last dimension, times weight [C]."""
        x = x.contiguous()
        made = torch.empty_like(x)
        self._rms_norm(*map(address, (x, weight, made)), *rows_of(x), epsilon, self.cores())
        return made

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor | None, epsilon: float) -> Tensor:
        """x [..., C] float32 over its last dimension, times weight [C] plus bias [C]."""
        x = x.contiguous()
        made = torch.empty_like(x)
        self._layer_norm(*map(address, (x, weight, bias, made)), *rows_of(x), epsilon, self.cores())
        return made

    def gelu(self, x: Tensor) -> Tensor:
        """x [..., C] float32, each number times the normal distribution's share below it."""
        x = x.contiguous()
        made = torch.empty_like(x)
        self._gelu(address(x), address(made), *rows_of(x), self.cores())
        return made

    def swiglu(self, x: Tensor) -> Tensor:
        """x [..., 2 C] float32 → [..., C]: the SiLU of the first half times the second."""
        x = x.contiguous()
        made = x.new_empty(*x.shape[:-1], x.shape[-1] // 2)
        self._swiglu(address(x), address(made), *rows_of(made), self.cores())
        return made

    def attend(
        self,
        qkv: Tensor,
        keys: Tensor,
        values: Tensor,
        position: int | Tensor,
        angles: tuple[Tensor, Tensor] | None,
        norms: Sequence[Tensor],
        epsilon: float,
    ) -> Tensor:
        """One new position of each sequence over itself and those before it: qkv [B, 1, 3 C] → [B, 1, C].

        keys, values [B, heads, room, C / heads], float32 or bfloat16: of the positions so far; this one's are
        written. position: a number, or int64 [1], which is read when the kernel runs. angles [1, C / heads]
        turn queries and keys, norms [C / heads] are weights to normalise them with; either may be missing
        (None, none). Raises ValueError where there is no room for the position.
        """
        batch, heads, room, length = keys.shape
        at = torch.tensor([position]) if isinstance(position, int) else position
        if int(at) >= room or qkv.shape != (batch, 1, 3 * heads * length):
            raise ValueError(f"position {int(at)} of {list(qkv.shape)} for a cache of {list(keys.shape)}")
        made = qkv.new_empty(batch, 1, heads * length)
        cosine, sine = angles or (None, None)
        query, key = norms or (None, None)
        self._attend(
            *map(address, (qkv.contiguous(), cosine, sine, query, key)),
            epsilon,
            *map(address, (keys, values, made)),
            *(batch, heads, length, room, address(at), keys.dtype == torch.bfloat16, self.cores()),
        )
        return made

    def refine(
        self,
        spectrum: Tensor,
        magnitude: Tensor,
        window: Tensor,
        weight: Tensor,
        hop: int,
        steps: int,
        speed: tuple[float, float, float],
    ) -> Tensor:
        """Samples [T] of a spectrum [N, bins] complex64 after so many steps towards magnitudes [N, bins].

        window [n_fft]; weight [T]: what its squares add up to, T = hop * (N - 1) + n_fft; speed: alpha, beta
        and gamma of `vocoders.spectrum`. Raises ValueError for sizes that do not fit or are unknown here.
        """
        n_fft, frames = len(window), len(magnitude)
        known = transforms(n_fft) and hop <= n_fft
        fits = spectrum.shape == magnitude.shape == (frames, n_fft // 2 + 1)
        if not known or not fits or frames < 1 or len(weight) != hop * (frames - 1) + n_fft:
            raise ValueError(
                f"spectrum {list(spectrum.shape)}, magnitudes {list(magnitude.shape)}, {len(weight)} weights "
                f"for windows of {n_fft}, {hop} apart"
            )
        samples = torch.empty_like(weight)
        room = samples.new_empty(self._refine_room(frames, n_fft, hop))
        parts = torch.view_as_real(spectrum.contiguous())
        given = parts, magnitude.contiguous(), window, weight, _waves(n_fft), torch.tensor(speed)
        sizes = frames, n_fft, hop, steps, self.cores()
        self._refine(*map(address, (*given, samples, room)), *sizes)
        return samples

    def mel(self, samples: Tensor, window: Tensor, hop: int, bank: "Bank") -> tuple[Tensor, Tensor]:
        """Values [F, N] in [0, 1] of samples [T], and the frames [N] in which rounding could show.

        Frames are centred on every `hop`-th sample, the sound mirrored before its beginning; those whose
        window would reach beyond its end are left out. On one core. Raises ValueError for sounds no longer
        than half a window, and for windows that it does not know.
        """
        n_fft = len(window)
        if not transforms(n_fft) or len(samples) <= n_fft // 2:
            raise ValueError(f"{len(samples)} samples for windows of {n_fft}")
        frames = 1 + (len(samples) - n_fft // 2) // hop
        bands = bank.shape.shape[1]
        values = samples.new_empty(bands, frames)
        doubts = torch.empty(frames, dtype=torch.bool)
        room = samples.new_empty(self._mel_room(n_fft, hop))
        tables = window, _waves(n_fft), bank.shape, bank.weights, bank.error, bank.levels
        given = samples.contiguous(), *tables, values, doubts, room
        self._mel(*map(address, given), frames, n_fft, hop, bands, bank.low, bank.high)
        return values, doubts


def transforms(n_fft: int) -> bool:
    """Whether the kernels know the Fourier transform of so many samples."""
    return 8 <= n_fft <= MOST_SAMPLES and n_fft.bit_count() == 1


class Bank:
    """Filters [F, bins], most of whose weights are 0, and how magnitudes become values, for the kernels."""

    def __init__(self, filters: Tensor, error: Tensor, levels: tuple[float, float, float, float]) -> None:
        """error [F]: of a band, in units of the frame's norm; levels: floor, factor, offset, visible.

        A value is ln(magnitude, at least the floor) * factor + offset; rounding could show where the error is
        more than a `visible` part of a magnitude that may be above the floor.
        """
        used = [row.nonzero().flatten() for row in filters]
        first = [int(bins[0]) if len(bins) else 0 for bins in used]
        count = [
            int(bins[-1]) + 1 - start if len(bins) else 0 for bins, start in zip(used, first, strict=True)
        ]
        rows = [row[start : start + n] for row, start, n in zip(filters, first, count, strict=True)]
        self.weights = torch.cat(rows).float().contiguous()
        self.error, self.levels = error.float().contiguous(), torch.tensor(levels)
        starts = [sum(count[:band]) for band in range(len(count))]
        self.shape = torch.tensor([first, count, starts], dtype=torch.int32)
        self.low, self.high = min(first), max(a + b for a, b in zip(first, count, strict=True))


@functools.cache
def _waves(n_fft: int) -> Tensor:
    """Real and imaginary parts of e^(-2 pi i k / n_fft) for three quarters of a turn."""
    turns = torch.arange(3 * n_fft // 4).double() * (-2 * math.pi / n_fft)
    return torch.stack([turns.cos(), turns.sin()], dim=-1).float().contiguous()


def kernels_in(module: nn.Module, kernels: Kernels | None) -> AbstractContextManager[None]:
    """Until the end of the block the parts of a module that know of kernels have these."""
    return lent([part for part in module.modules() if isinstance(part, UsesKernels)], "kernels", kernels)


class UsesKernels:
    """A layer that is quicker with the kernels, while it has them, and gives the same without."""

    kernels: Kernels | None = None


def find_kernels() -> Kernels | None:
    """The kernels; None where they cannot be had: no C compiler, or no place to keep what it makes.

    None in a block of `wanted.kernels_if` that does not want them, too, and in what torch compiles.
    """
    return None if torch.compiler.is_compiling() or not wanted.kernels_wanted() else compiled_kernels()


@functools.cache
def compiled_kernels() -> Kernels | None:
    """What `find_kernels` finds, wanted or not."""
    found = compiler.compiled()
    return None if found is None else Kernels(found)
