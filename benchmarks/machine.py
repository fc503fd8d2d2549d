"""What the machine itself can do, measured in the same run: products, reading memory, Fourier transforms."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from melgpt.runtime import choose_device, choose_precision

SIDE = 2048
WORDS = 1 << 27
"""512 MiB of float32: more than any cache."""


@dataclass(frozen=True)
class Machine:
    """Speeds of this machine, with as many threads as torch takes."""

    processor: str
    device: str
    threads: int
    load: float
    precision: str
    """What `precision = "auto"` chooses here."""
    matrix: float
    """FLOP/s of a large float32 product."""
    matrix_bf16: float
    read: float
    """Bytes/s from memory."""
    fft: float
    """Real transforms of 1024 samples a second."""

    @property
    def best_matrix(self) -> float:
        """FLOP/s in the precision that `auto` takes."""
        return self.matrix_bf16 if self.precision == "bf16" else self.matrix


def measure() -> Machine:
    """Takes a few seconds."""
    device = choose_device()
    a = torch.randn(SIDE, SIDE, device=device)
    half = a.bfloat16()
    words = torch.ones(WORDS, device=device)
    frames = torch.randn(4096, 1024, device=device)
    product = 2.0 * SIDE**3
    return Machine(
        processor=_processor(),
        device=str(device) if device.type == "cpu" else torch.cuda.get_device_name(),
        threads=torch.get_num_threads(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
        precision=choose_precision(device),
        matrix=product / _fastest(lambda: a @ a, device),
        # Without units for it a bf16 product of this size takes minutes.
        matrix_bf16=product / 64 / _fastest(lambda: half[:512, :512] @ half[:512, :512], device, 2),
        read=WORDS * 4 / _fastest(words.sum, device),
        fft=len(frames) / _fastest(lambda: torch.fft.rfft(frames), device),
    )


def _fastest(work: Callable[[], object], device: torch.device, rounds: int = 7) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
