"""A GPT's step on a GPU in few kernels, in Triton (Tillet et al. 2019, https://triton-lang.org), float32.

A step of one clip reads every weight once and computes next to nothing: what it costs beyond reading is the
number of kernels. Here a layer takes five for up to `MOST_ROWS` clips: two products that normalise their
input, two that add to what passes by, and all of the attention.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F
from triton.errors import TritonError
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from melgpt.native.on_gpu import NormParts

MOST_ROWS = 2
"""Clips up to which products read the weights in a kernel of ours; more are for the matrix units."""
NUMBERS = 4096
"""Weights that a program reads at once."""

PLAIN, RMS, LAYER = 0, 1, 2
GELU, SWIGLU = 1, 2
ACTIVATIONS = {"": PLAIN, "gelu": GELU, "swiglu": SWIGLU}


class GpuKernels:
    """They keep no state; all tensors lie on one CUDA device."""

    def try_out(self) -> None:
        """Build and run the smallest one. Raises RuntimeError, OSError or CalledProcessError if it fails."""
        ones = torch.ones(1, 16, device="cuda")
        try:
            self.norm(ones, (ones[0], None, 1e-6), torch.float32)
        except TritonError as error:  # such as a GPU that is newer than its assembler
            raise RuntimeError(str(error)) from error

    def linear(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *,
        norm: NormParts | None = None,
        activation: str = "",
        onto: Tensor | None = None,
    ) -> Tensor:
        """x [..., inputs] → activation(norm(x) weight^T + bias) + onto, [..., outputs].

        In float32; of more than `MOST_ROWS` rows, with nothing to add to, in the precision of the weight
        [outputs, inputs], float32 or bfloat16. activation: `gelu`, or `swiglu`, which halves the outputs, or
        nothing.
        """
        x = x.contiguous()
        rows = x.numel() // x.shape[-1]
        if rows > MOST_ROWS:
            return self._by_matrices(x, weight, bias, norm, activation, onto)
        inputs, kind = x.shape[-1], ACTIVATIONS[activation]
        outputs = len(weight) // 2 if kind == SWIGLU else len(weight)
        made = torch.empty(*x.shape[:-1], outputs, device=x.device)
        wide = triton.next_power_of_2(inputs)
        at_once = max(1, NUMBERS // wide // (2 if kind == SWIGLU else 1))
        scale, shift, epsilon = (None, None, 0.0) if norm is None else norm
        _linear[(triton.cdiv(outputs, at_once),)](
            *(x, weight, bias, scale, shift, None if onto is None else onto.contiguous(), made),
            *(rows, inputs, outputs, epsilon),
            NORM=PLAIN if scale is None else RMS if shift is None else LAYER,
            ACTIVATION=kind,
            WIDE=wide,
            AT_ONCE=at_once,
            num_warps=4 if wide <= NUMBERS else 8,
            **_early(rows),
        )
        return made

    def _by_matrices(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        norm: NormParts | None,
        activation: str,
        onto: Tensor | None,
    ) -> Tensor:
        x = x.to(weight.dtype) if norm is None else self.norm(x, norm, weight.dtype)
        made = F.linear(x, weight, bias)
        if activation == "swiglu":
            gate, value = made.chunk(2, dim=-1)
            made = F.silu(gate) * value
        elif activation:
            made = F.gelu(made)
        return made if onto is None else onto + made

    def norm(self, x: Tensor, norm: NormParts, kind: torch.dtype) -> Tensor:
        """x [..., C] normalised over its last dimension, in another precision."""
        x, (scale, shift, epsilon) = x.contiguous(), norm
        made, width = torch.empty_like(x, dtype=kind), x.shape[-1]
        _norm[(x.numel() // width,)](
            *(x, scale, shift, made, width, epsilon),
            NORM=RMS if shift is None else LAYER,
            WIDE=triton.next_power_of_2(width),
        )
        return made

    def attends(self, keys: Tensor) -> bool:
        """Whether `attend` knows heads of this length: keys [B, heads, room, C / heads]."""
        length = keys.shape[-1]
        return 8 <= length <= 256 and length & (length - 1) == 0

    def attend(
        self,
        qkv: Tensor,
        keys: Tensor,
        values: Tensor,
        position: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        norms: Sequence[Tensor],
        epsilon: float,
    ) -> Tensor:
        """One new position of each sequence over itself and those before it: qkv [B, 1, 3 C] → [B, 1, C].

        keys, values [B, heads, room, C / heads]: of the positions so far; this one's are written at
        `position`, int64 [1]. angles: cosine and sine [1, C / heads] of a rotation. norms: weights
        [C / heads] of queries' and keys' RMSNorm, or none.
        """
        clips, heads, room, length = keys.shape
        qkv = qkv.contiguous()
        made = qkv.new_empty(clips, 1, heads * length)
        cosine, sine = (None, None) if angles is None else angles
        of_queries, of_keys = norms or (None, None)
        _attend[(clips, heads)](
            *(qkv, keys, values, position, cosine, sine, of_queries, of_keys, made, heads, room, epsilon),
            LENGTH=length,
            AT_ONCE=max(16, 8192 // length),
            num_warps=4,
            **_early(clips),
        )
        return made


def _early(rows: int) -> dict[str, bool]:
    """Options of a launch: whether a kernel may begin, and read its weights, before the last one has ended.

    Hopper and later can (programmatic dependent launch); it gains a sixth for one clip, nothing for eight.
    """
    early = rows <= MOST_ROWS and torch.cuda.get_device_capability() >= (9, 0)
    return {"EARLY": early, **({"launch_pdl": True} if early else {})}


@triton.jit
def _normed(x, scale, shift, k, inside, width, epsilon, NORM: tl.constexpr):  # type: ignore[no-untyped-def]
    """x [WIDE], 0 outside, normalised; NORM: 0, 1, 2 as PLAIN, RMS, LAYER."""
    if NORM == 1:
        x = x * tl.rsqrt(tl.sum(x * x, axis=0) / width + epsilon)
        x = x * tl.load(scale + k, mask=inside, other=0.0).to(tl.float32)
    if NORM == 2:
        x = tl.where(inside, x - tl.sum(x, axis=0) / width, 0.0)
        x = x * tl.rsqrt(tl.sum(x * x, axis=0) / width + epsilon)
        x = x * tl.load(scale + k, mask=inside, other=0.0).to(tl.float32)
        x = x + tl.load(shift + k, mask=inside, other=0.0).to(tl.float32)
    return x


@triton.jit
def _norm(x, scale, shift, made, width, epsilon, NORM: tl.constexpr, WIDE: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, WIDE)
    inside = k < width
    whole = tl.load(x + row * width + k, mask=inside, other=0.0).to(tl.float32)
    whole = _normed(whole, scale, shift, k, inside, width, epsilon, NORM)
    tl.store(made + row * width + k, whole.to(made.dtype.element_ty), mask=inside)


@triton.jit
def _linear(  # type: ignore[no-untyped-def]
    x,
    weight,
    bias,
    scale,
    shift,
    onto,
    made,
    rows,
    inputs,
    outputs,
    epsilon,
    NORM: tl.constexpr,
    ACTIVATION: tl.constexpr,
    WIDE: tl.constexpr,
    AT_ONCE: tl.constexpr,
    EARLY: tl.constexpr,
):
    """AT_ONCE outputs of all rows: their weights are read once, each row's input anew.

    ACTIVATION: 0, 1, 2 as PLAIN, GELU, SWIGLU.
    """
    if EARLY:
        gdc_launch_dependents()
    n = tl.program_id(0) * AT_ONCE + tl.arange(0, AT_ONCE)
    k = tl.arange(0, WIDE)
    there, inside = n < outputs, k < inputs
    both = there[:, None] & inside[None, :]
    place = n[:, None] * inputs + k[None, :]
    weights = tl.load(weight + place, mask=both, other=0.0).to(tl.float32)
    if ACTIVATION == 2:
        values = tl.load(weight + outputs * inputs + place, mask=both, other=0.0).to(tl.float32)
    if EARLY:
        gdc_wait()
    for row in range(rows):
        whole = tl.load(x + row * inputs + k, mask=inside, other=0.0).to(tl.float32)
        whole = _normed(whole, scale, shift, k, inside, inputs, epsilon, NORM)
        sums = tl.sum(weights * whole[None, :], axis=1)
        if bias is not None:
            sums += tl.load(bias + n, mask=there, other=0.0).to(tl.float32)
        if ACTIVATION == 1:
            sums = 0.5 * sums * (1.0 + tl.erf(sums * 0.7071067811865476))
        if ACTIVATION == 2:
            value = tl.sum(values * whole[None, :], axis=1)
            if bias is not None:
                value += tl.load(bias + outputs + n, mask=there, other=0.0).to(tl.float32)
            sums = sums / (1.0 + tl.exp(-sums)) * value
        if onto is not None:
            sums += tl.load(onto + row * outputs + n, mask=there, other=0.0)
        tl.store(made + row * outputs + n, sums, mask=there)


@triton.jit
def _turned(at, norm, d, cosine, sine, epsilon, LENGTH: tl.constexpr):  # type: ignore[no-untyped-def]
    """A query or key [LENGTH]: normalised, and its pairs (first half, second half) turned."""
    x = tl.load(at + d).to(tl.float32)
    other = (d + LENGTH // 2) % LENGTH
    pair = tl.load(at + other).to(tl.float32)
    if norm is not None:
        factor = tl.rsqrt(tl.sum(x * x, axis=0) / LENGTH + epsilon)
        x = x * factor * tl.load(norm + d).to(tl.float32)
        pair = pair * factor * tl.load(norm + other).to(tl.float32)
    if cosine is not None:
        x = x * tl.load(cosine + d) + pair * tl.load(sine + d)
    return x


@triton.jit
def _attend(  # type: ignore[no-untyped-def]
    qkv,
    keys,
    values,
    position,
    cosine,
    sine,
    of_queries,
    of_keys,
    made,
    heads,
    room,
    epsilon,
    LENGTH: tl.constexpr,
    AT_ONCE: tl.constexpr,
    EARLY: tl.constexpr,
):
    """One head of one clip, AT_ONCE positions at a time, with a softmax that goes along."""
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()
    clip, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    here = tl.load(position).to(tl.int32)
    d = tl.arange(0, LENGTH)
    at = qkv + (clip * 3 * heads + head) * LENGTH
    q = _turned(at, of_queries, d, cosine, sine, epsilon, LENGTH)
    k = _turned(at + heads * LENGTH, of_keys, d, cosine, sine, epsilon, LENGTH)
    v = tl.load(at + 2 * heads * LENGTH + d).to(tl.float32)
    # Rounded as the positions before it were.
    kept_k, kept_v = k.to(keys.dtype.element_ty), v.to(values.dtype.element_ty)
    first = (clip * heads + head) * room * LENGTH
    tl.store(keys + first + here * LENGTH + d, kept_k)
    tl.store(values + first + here * LENGTH + d, kept_v)
    q = q / tl.sqrt(LENGTH * 1.0)
    most = tl.sum(q * kept_k.to(tl.float32), axis=0)
    share = most * 0.0 + 1.0
    mixed = kept_v.to(tl.float32)
    for begin in range(0, here, AT_ONCE):
        n = begin + tl.arange(0, AT_ONCE)
        before = n < here
        place = first + n[:, None] * LENGTH + d[None, :]
        some = tl.load(keys + place, mask=before[:, None], other=0.0).to(tl.float32)
        score = tl.where(before, tl.sum(some * q[None, :], axis=1), float("-inf"))
        higher = tl.maximum(most, tl.max(score, axis=0))
        weight = tl.exp(score - higher)
        fade = tl.exp(most - higher)
        some = tl.load(values + place, mask=before[:, None], other=0.0).to(tl.float32)
        mixed = mixed * fade + tl.sum(some * weight[:, None], axis=0)
        share = share * fade + tl.sum(weight, axis=0)
        most = higher
    tl.store(made + (clip * heads + head) * LENGTH + d, (mixed / share).to(made.dtype.element_ty))
