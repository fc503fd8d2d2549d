"""How the maps of convolutions lie in memory while they are trained, and how many threads work on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from torch import nn

from melgpt.codec.codec import Codec
from melgpt.native.kernels import find_kernels
from melgpt.runtime import RuntimeConfig, threads

LIGHT = 4_000_000
"""Weights of a codec below which its operations are so short that waking a thread costs what it gains."""


def quick_layout(device: torch.device, *, half: bool) -> torch.memory_format:
    """`channels_last`, but where a step takes longer in it.

    On a CPU in float32 without our kernels up to 1.6 times; on a GPU, which is slow at group normalisation in
    it, a fifth more.
    """
    plain = device.type == "cuda" or (device.type == "cpu" and not half and find_kernels() is None)
    return torch.contiguous_format if plain else torch.channels_last


def lay_out(task: lightning.LightningModule, codec: Codec, discriminator: nn.Module) -> None:
    """For `on_train_start`: weights and the optimisers' moments in the layout that is quick here.

    A fused optimiser walks through weights and moments in the order of memory, and a checkpoint may come from
    another device: so both are laid out alike.
    """
    layout = quick_layout(task.device, half=task.trainer.precision != "32-true")
    codec.lay_out(layout)
    discriminator.to(memory_format=layout)  # type: ignore[call-overload]
    for optimizer in task.trainer.optimizers:
        for parameter, state in optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    state[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


@contextmanager
def quick_threads(task: Any, runtime: RuntimeConfig) -> Iterator[None]:
    """Until the end of the block one thread of torch's for a codec that is light; the kernels have all cores.

    Their helpers need not be woken. Where the user gives a number of threads, all have that.
    """
    codec = getattr(task, "part", None)
    light = isinstance(codec, Codec) and sum(weight.numel() for weight in codec.parameters()) < LIGHT
    kernels = find_kernels() if light and not runtime.threads and runtime.compile != "off" else None
    if kernels is None:
        yield
        return
    with kernels.on(torch.get_num_threads()), threads(1):
        yield
