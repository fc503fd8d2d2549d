"""Who takes the kernels for a GPU, and whether they can be had: Triton is not there on every system."""

import functools
import shutil
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
    """The kernels; None without Triton, without the C compiler that it needs, or for a GPU before Volta."""
    if not any(map(shutil.which, ("cc", "gcc", "clang"))) or torch.cuda.get_device_capability() < (7, 0):
        return None
    try:
        from melgpt.native.gpu import GpuKernels
    except ImportError:
        return None
    return GpuKernels()
