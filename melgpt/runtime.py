"""Where and how to compute: the device, the precision, the threads. Nothing here acts on import."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from pydantic import Field

from melgpt.config import Config
from melgpt.errors import UserError

Precision = Literal["auto", "fp32", "bf16"]
Compile = Literal["auto", "on", "off"]


class RuntimeConfig(Config):
    """How to compute: it changes the speed, and rounding. Where a code is drawn rounding may choose another
    one, and with it another sound; what was used stands in the JSON of each sound (`melgpt.how`)."""

    precision: Precision = "auto"
    """`auto`: bf16 where the processor has units for it; elsewhere fp32, but a GPT that writes reads its
    weights as bf16."""
    device: str = "auto"
    """`auto`: cuda, mps or cpu, the first that is there."""
    threads: int = Field(0, ge=0, le=1024)
    """Cores of the CPU to use; 0: all, and one where the work is too small for several."""
    compile: Compile = "auto"
    """`auto`: our own kernels, where there is a C compiler; `off`: none; `on`: also what turns codes to
    sound, by torch.compile, docs/performance.md says when it pays."""

    def place(self, parts: Iterable[Any]) -> torch.device:
        """Put trained parts where they are to work, in the precision that the processor is good at.

        In bf16 a part holds what its `to_bf16` says; one that has none stays in float32. One that writes code
        after code is told how by its `write_quickly`.
        """
        self.take_threads()
        device = choose_device(self.device)
        placed = list(parts)
        for part in placed:
            part.eval().to(device)
            if device.type == "cuda" and hasattr(part, "lay_out"):
                part.lay_out(torch.contiguous_format)  # group normalisation is slow in the other
            if choose_precision(device, self.precision) == "bf16" and hasattr(part, "to_bf16"):
                part.to_bf16()
        self.choose_kernels(placed)
        return device

    def choose_kernels(self, parts: Iterable[Any]) -> None:
        """Tell those that know of kernels whether they may take them."""
        for part in parts:
            if hasattr(part, "write_quickly"):
                part.write_quickly(rounded=self.precision != "fp32", kernels=self.compile != "off")

    def take_threads(self) -> None:
        """Give torch as many threads as are asked for."""
        if self.threads:
            torch.set_num_threads(self.threads)

    def compile_all(self, modules: Iterable[torch.nn.Module]) -> None:
        """Compile them where that is asked for. Raises UserError where there is no compiler."""
        if self.compile != "on":
            return
        check_compiler(choose_device(self.device))
        for module in modules:
            module.compile(dynamic=True)


def check_compiler(device: torch.device) -> None:
    """Raises UserError where torch.compile cannot work: on a CPU it needs a C++ compiler."""
    if device.type != "cpu":
        return
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise UserError(
            "compile=on needs a C++ compiler (g++ or clang): install one, or leave it out"
        ) from None


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads of torch's, at most, until the end of the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, number))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_device(name: str = "auto") -> torch.device:
    """CUDA, then Apple's MPS, then the CPU; or the one that is named."""
    if name != "auto":
        try:
            device = torch.device(name)
            torch.empty(1, device=device).cpu()
        except (RuntimeError, AssertionError, NotImplementedError):
            raise UserError(f"device '{name}' is not there; auto, cpu, cuda or mps were expected") from None
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def choose_precision(device: torch.device, wanted: Precision = "auto") -> Literal["fp32", "bf16"]:
    """bf16 where the processor multiplies it in hardware; elsewhere it is many times slower than fp32."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu" and has_bf16_units():
        return "bf16"
    return "fp32"


def has_bf16_units() -> bool:
    """Whether this CPU multiplies bf16 more quickly than float32.

    Matrix units (AMX) do, and AVX512-BF16 on an AMD (Zen 4 and later: twice to three times as fast). The same
    instructions on an Intel without AMX are half as fast as float32.
    """
    if has_matrix_units():
        return True
    known = processor_facts()
    return bool(known.get("avx512_bf16")) and str(known.get("cpu_name", "")).startswith("AMD")


def processor_facts() -> dict[str, Any]:
    """What torch knows of this CPU (`cpu_name`, instruction sets); empty where torch does not tell."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older releases of torch lack it
    return known


def has_matrix_units() -> bool:
    """Whether this CPU has AMX."""
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(probe and probe())


HEAVY = 50_000_000
"""Weights from which on a GPU trains a network more quickly in bf16. A step of a lighter one takes as long as
it takes to start its operations, and converting to bf16 adds to them."""


def training_precision(
    device: torch.device, wanted: Precision, network: torch.nn.Module
) -> Literal["fp32", "bf16"]:
    """As `choose_precision`, but by itself a GPU trains a light network in float32 (see `quick_products`)."""
    if wanted == "auto" and device.type == "cuda":
        size = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
        if size < HEAVY:
            return "fp32"
    return choose_precision(device, wanted)


def lightning_precision(
    device: torch.device, wanted: Precision, network: torch.nn.Module
) -> Literal["32-true", "bf16-mixed"]:
    """The same choice in the words of Lightning's Trainer."""
    return "bf16-mixed" if training_precision(device, wanted, network) == "bf16" else "32-true"


@contextmanager
def quick_products(device: torch.device, wanted: Precision) -> Iterator[None]:
    """Until the end of the block a GPU multiplies float32 with 10 bits (TF32), unless `fp32` is asked for.

    A CPU goes on as it was: there, too, some would take fewer bits.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda" and wanted != "fp32":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def peak_memory_gib() -> float | None:
    """Largest resident memory of this process so far in GiB; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 30) if sys.platform == "darwin" else peak / (1 << 20)
