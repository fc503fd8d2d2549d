"""Who takes the kernels for a GPU, and whether they can be had: Triton is not there on every system."""

import functools
import subprocess
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from melgpt.errors import in_short
from melgpt.native.calls import lent
from melgpt.progress import say

if TYPE_CHECKING:
    from melgpt.native.gpu import GpuKernels

NormParts = tuple[Tensor, Tensor | None, float]
"""Weight [C], the bias [C] of a LayerNorm or None for an RMSNorm, what is added to the variance."""


class UsesGpu:
    """A layer that is quicker with the kernels for a GPU, while it has them, and gives the same without."""

    on_gpu: "GpuKernels | None" = None


def gpu_kernels_in(module: nn.Module, kernels: "GpuKernels") -> AbstractContextManager[None]:
    """Until the end of the block the parts of a module, in evaluation mode, that know of them have these.

    Gradients do not pass.
    """
    return lent([part for part in module.modules() if isinstance(part, UsesGpu)], "on_gpu", kernels)


@functools.cache
def find_gpu_kernels() -> "GpuKernels | None":
    """The kernels, if one of them runs on the CUDA device that is in use; None elsewhere.

    Where Triton cannot build them, it says so in a line.
    """
    known = torch.cuda.is_available() and torch.version.hip is None
    if not known or torch.cuda.get_device_capability() < (7, 0):  # Triton knows Volta and later
        return None
    try:
        from melgpt.native.gpu import GpuKernels
    except ImportError:  # Triton is not there on every system
        return None
    kernels = GpuKernels()
    try:
        kernels.try_out()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        # No C compiler, or no headers of Python's for what Triton builds with it.
        why = in_short(error)
        say(f"torch's operations instead of kernels for the GPU, which cannot be built here: {why}")
        return None
    return kernels
