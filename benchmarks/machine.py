"""What the machine itself can do, measured in the same run: products, reading memory, Fourier transforms."""

import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Way, fastest

if TYPE_CHECKING:
    import torch

SIDE, SIDE_CUDA, SIDE_EMULATED = 2048, 8192, 512
"""Of the products' matrices. Without units for it a bf16 product of the first size takes minutes."""
WORDS = 1 << 27
"""512 MiB of float32: more than any cache."""
ROUNDS = 7


@dataclass(frozen=True)
class Machine:
    """Speeds of this machine, with as many threads as torch takes."""

    processor: str
    device: str
    threads: int
    load_start: float
    """Processes that ran or waited, mean over the minute before."""
    precision: str
    """What `precision = "auto"` chooses here."""
    matrix: float
    """FLOP/s of a large float32 product on the device."""
    matrix_bf16: float
    read: float
    """Bytes/s from the device's memory."""
    fft: float
    """Real transforms of 1024 samples a second, on the processor, where mels are made."""

    @property
    def best_matrix(self) -> float:
        """FLOP/s in the precision that `auto` takes."""
        return self.matrix_bf16 if self.precision == "bf16" else self.matrix


def measure() -> Machine:
    """Takes a few seconds."""
    import torch

    from melgpt.runtime import choose_device, choose_precision

    def product(side: int, kind: torch.dtype) -> float:
        a = torch.randn(side, side, device=device, dtype=kind)
        return 2.0 * side**3 / fastest(lambda: a @ a, ROUNDS)

    load = load_average()
    device = choose_device()
    precision = choose_precision(device)
    side = SIDE_CUDA if device.type == "cuda" else SIDE
    frames = torch.randn(4096, 1024)
    return Machine(
        processor=_processor(),
        device=torch.cuda.get_device_name() if device.type == "cuda" else str(device),
        threads=torch.get_num_threads(),
        load_start=load,
        precision=precision,
        matrix=product(side, torch.float32),
        matrix_bf16=product(side if precision == "bf16" else SIDE_EMULATED, torch.bfloat16),
        read=WORDS * 4 / fastest(reading(device), ROUNDS),
        fft=len(frames) / fastest(lambda: torch.fft.rfft(frames), ROUNDS),
    )


def reading(device: "torch.device") -> Way:
    """One pass over 4 * WORDS bytes of the device's memory."""
    import torch

    words = torch.ones(WORDS, device=device)
    return words.sum


def quickest(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The higher speeds of two measures of a machine, as plain values."""
    speeds = ("matrix", "matrix_bf16", "read", "fft")
    return {**one, **{name: max(one[name], other[name]) for name in speeds}}


def load_average() -> float:
    """Processes that run or wait, mean over the last minute; not a number where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
