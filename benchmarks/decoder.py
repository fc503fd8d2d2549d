"""The mel decoder (flow): a smooth mel of 5 s to a sharp one; plain is float32 and torch's convolutions."""

import copy
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import Machine
from benchmarks.measure import Row, Way, row
from melgpt import registry
from melgpt.decoders.flow import FlowDecoder
from melgpt.runtime import RuntimeConfig, choose_device
from melgpt.training.recipe import Recipe

FRAMES = 432
"""Five seconds, in whole columns of codes."""


@torch.inference_mode()
def rows(machine: Machine, quick: bool) -> list[Row]:
    """One clip and, but for quick, eight."""
    name = "tiny" if quick else "small"
    return [_sampling(machine, name, clips, 1 if quick else 5) for clips in ((1,) if quick else (1, 8))]


def _sampling(machine: Machine, name: str, clips: int, rounds: int) -> Row:
    device = choose_device()
    ours, plain, given = flow_decoders(name, device, FRAMES, clips)
    RuntimeConfig().place([ours])
    noise = torch.randn_like(given[0])
    steps = ours.config.steps
    return row(
        f"mel decoder, recipe {name}, {steps} steps, 5 s" + (f", {clips} clips" if clips > 1 else ""),
        {"plain": lambda: plain.refine(*given, noise), "ours": lambda: ours.refine(*given, noise)},
        rounds,
        limit=counted_flop(lambda: plain.refine(*given, noise)) / machine.best_matrix,
        note="limit: the products at full speed",
    )


def flow_decoders(
    recipe: str, device: torch.device, frames: int, clips: int
) -> tuple[FlowDecoder, FlowDecoder, tuple[Tensor, Tensor]]:
    """A recipe's decoder, the same in the plain way, and what both are given: a smooth mel and its codes."""
    values = Recipe.read(recipe)
    codec = registry.build("codec", values.codec)
    rows, (_, token_frames) = codec.config.rows, codec.config.network.token_size
    config: Any = values.decoder.for_codec(codec.quantizer.dim, token_frames)
    ours: FlowDecoder = registry.build("decoder", config).to(device)
    plain = copy.deepcopy(ours).to(memory_format=torch.contiguous_format)
    plain.write_quickly(rounded=False, kernels=False)
    smooth = torch.rand(clips, values.mel.n_mels, frames, device=device)
    z = torch.randn(clips, codec.quantizer.dim, rows, frames // token_frames, device=device)
    return ours, plain, (smooth, z)


def counted_flop(work: Way) -> int:
    """Floating-point operations of the products and convolutions of some work in the plain way."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())
