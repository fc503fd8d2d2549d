"""Where and how to compute: the device, the precision, the threads. Nothing here acts on import."""

from typing import Literal

import torch

from melgpt.errors import UserError

Precision = Literal["auto", "fp32", "bf16"]


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
    """Whether this CPU has matrix (AMX) units for bf16."""
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(probe and probe())


def lightning_precision(device: torch.device, wanted: Precision = "auto") -> Literal["32-true", "bf16-mixed"]:
    """The same choice in the words of Lightning's Trainer."""
    return "bf16-mixed" if choose_precision(device, wanted) == "bf16" else "32-true"


def peak_memory_gib() -> float | None:
    """Largest resident memory of this process so far in GiB; None where the system does not tell."""
    import sys

    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 30) if sys.platform == "darwin" else peak / (1 << 20)
