"""Linear layers that can be laid out for products of a few rows, as a GPT has them that writes.

On a CPU, `F.linear` of one row is a matrix-vector product on one core, and of 2 to 32 rows a matrix product
far below the speed of memory. oneDNN's kernels for the same product, which torch carries for its compiler,
use all cores and, with the weights in their own order, come near what reading the weights costs
(docs/performance.md). The sums are the same but for the order of their terms.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

ONE_ROW_BYTES = 8 << 20
"""Weights of a layer from which on the kernel is quicker for a single row, too."""


class Linear(nn.Linear):
    """nn.Linear; inside `packed` it multiplies with the kernel for few rows."""

    weight_in_order: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.weight_in_order is None:
            return super().forward(x)
        return torch.ops.mkldnn._linear_pointwise(x, self.weight_in_order, self.bias, "none", [], "")


@contextmanager
def packed(module: nn.Module, rows: int) -> Iterator[int]:
    """Until the end of the block the Linear layers of a module are laid out for products of so many rows.

    Gives the number of layers for which that pays.

    It costs a copy of their weights from 2 rows on, and is meant for inference: gradients do not pass. Where
    torch has no such kernels (another device, another build) nothing is changed.
    """
    linear = [layer for layer in module.modules() if isinstance(layer, Linear)]
    layers = [layer for layer in linear if _has_kernel(layer.weight) and _pays(layer.weight, rows)]
    try:
        for layer in layers:
            layer.weight_in_order = _in_order(layer.weight.detach(), rows)
        yield len(layers)
    finally:
        for layer in layers:
            layer.weight_in_order = None


def _pays(weight: Tensor, rows: int) -> bool:
    """The call itself costs some 20 µs more, which one row through a small matrix does not win back."""
    return rows > 1 or weight.nbytes >= ONE_ROW_BYTES


def _has_kernel(weight: Tensor) -> bool:
    return (
        weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and (weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and _multiplies_bf16()))
    )


def _multiplies_bf16() -> bool:
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _in_order(weight: Tensor, rows: int) -> Tensor:
    # One row is read fastest as it lies.
    return weight if rows == 1 else torch.ops.mkldnn._reorder_linear_weight(weight, rows)
