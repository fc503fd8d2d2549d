"""Who takes the kernels for a GPU, and whether they can be had: Triton is not there on every system."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from melgpt.native.gpu import GpuKernels


class UsesGpu:
    """A layer that is quicker with the kernels for a GPU, while it has them, and gives the same without."""

    on_gpu: "GpuKernels | None" = None


@contextmanager
def gpu_kernels_in(module: nn.Module, kernels: "GpuKernels") -> Iterator[None]:
    """Until the end of the block the parts of a module, in evaluation mode, that know of them have these.

    Gradients do not pass.
    """
    parts = [part for part in module.modules() if isinstance(part, UsesGpu)]
    try:
        for part in parts:
            part.on_gpu = kernels
        yield
    finally:
        for part in parts:
            part.on_gpu = None


@functools.cache
def find_gpu_kernels() -> "GpuKernels | None":
    """The kernels, if one of them runs on the CUDA device that is in use; None elsewhere."""
    if torch.version.hip is not None:
        return None
    try:
        from melgpt.native.gpu import GpuKernels

        kernels, ones = GpuKernels(), torch.ones(1, 16, device="cuda")
        kernels.norm(ones, (ones[0], None, 1e-6), torch.float32)
    except Exception:
        # No Triton, no C compiler or header of Python's for what it builds, a GPU before Volta: torch's
        # operations do the same.
        return None
    return kernels
