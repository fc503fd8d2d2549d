"""Linear layers that can be laid out for products of a few rows, as a GPT has them that writes.

On a CPU, `F.linear` of one row is a matrix-vector product on one core, and of 2 to 32 rows a matrix product
far below the speed of memory. Two kernels for the same product read the weights in an order of their own, on
all cores: ours (native/linear.c), where weights may be rounded to bf16 and there is a C compiler, and the one
of oneDNN that torch carries for its compiler. docs/performance.md holds what each gains.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from melgpt.native.kernels import Kernels, kernels_in
from melgpt.native.on_gpu import UsesGpu
from melgpt.runtime import has_matrix_units

ONE_ROW_BYTES = 8 << 20
"""Weights of a layer from which on oneDNN's kernel is quicker for a single row, too."""

Product = Callable[..., Tensor]
"""Of x and, by its name, `onto`: what is added, or None."""
Part = nn.Module | None


class Linear(UsesGpu, nn.Linear):
    """nn.Linear; inside `packed` it multiplies with the kernel for few rows.

    It takes along what comes before and after it, since a kernel for a GPU does all at once: `before`
    normalises the input, `then` is an activation or dropout, `onto` is added.
    """

    product: Product | None = None

    def forward(
        self, x: Tensor, *, before: Part = None, then: Part = None, onto: Tensor | None = None
    ) -> Tensor:
        activation = getattr(then, "name", "")  # dropout has none, and drops nothing where a kernel is
        if self.on_gpu is not None:
            norm = getattr(before, "parts", None)
            return self.on_gpu.linear(x, self.weight, self.bias, norm=norm, activation=activation, onto=onto)
        x = x if before is None else before(x)
        if self.product is not None and not activation:
            return self.product(x, onto=onto)
        made = super().forward(x) if self.product is None else self.product(x)
        made = made if then is None else then(made)
        return made if onto is None else onto + made


Products = dict[Linear, Product | None]
"""How each layer multiplies; None as ever."""


@contextmanager
def packed(
    module: nn.Module,
    rows: int,
    kernels: Kernels | None = None,
    *,
    rounded: bool = False,
    kept: Products | None = None,
) -> Iterator[None]:
    """Until the end of the block the layers of a module are laid out for so many rows, and have the kernels.

    rounded: float32 weights may be read as bfloat16. kept: what an earlier block with the same weights and
    options made; empty, it is filled.

    It costs a copy of their weights, and is meant for inference: gradients do not pass. Where there are no
    kernels (another device, another build) nothing is changed.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, Linear)]
    products = {} if kept is None else kept
    try:
        for layer in layers:
            if layer not in products:
                products[layer] = _product(layer, rows, kernels, rounded)
            layer.product = products[layer]
        with kernels_in(module, kernels):
            yield
    finally:
        for layer in layers:
            layer.product = None


def _product(layer: Linear, rows: int, kernels: Kernels | None, rounded: bool) -> Product | None:
    """The layer's quickest product of so many rows; None for the plain one."""
    weight, bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
    if weight.device.type != "cpu":
        return None
    half = rounded or weight.dtype == torch.bfloat16
    if kernels and half and rows <= most_rows() and not weight.shape[1] % 2:
        ordered, exact = kernels.in_order(weight), None if bias is None else bias.float()
        held = weight.dtype == torch.bfloat16
        return partial(kernels.linear, weight=ordered, bias=exact, outputs=len(weight), halves=held)
    if _has_kernel(weight) and (rows > 1 or weight.nbytes >= ONE_ROW_BYTES):
        # The call costs some 20 µs more, which one row through a small matrix does not win back. One row is
        # read fastest as the weights lie.
        ordered = weight if rows == 1 else torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        return partial(_onednn, weight=ordered, bias=bias)
    return None


def _onednn(x: Tensor, *, weight: Tensor, bias: Tensor | None, onto: Tensor | None = None) -> Tensor:
    made = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return made if onto is None else onto + made


def most_rows() -> int:
    """Rows up to which the kernels multiply: reading the weights takes longest; more are for others."""
    return 4 if has_matrix_units() else 128


def _has_kernel(weight: Tensor) -> bool:
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and (weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and _multiplies_bf16()))
    )


def _multiplies_bf16() -> bool:
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
