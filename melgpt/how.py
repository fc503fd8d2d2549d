"""How a sound was made, in plain types that go to its JSON: what was asked for, and what computed it."""

import hashlib
import platform
from importlib.metadata import version
from typing import Any

import torch

from melgpt.gpt.sampling import Sampling
from melgpt.gpt.steering import Steering
from melgpt.native.kernels import find_kernels
from melgpt.native.on_gpu import find_gpu_kernels
from melgpt.runtime import RuntimeConfig, choose_precision, processor_facts


def asked(steering: Steering, options: Sampling, seed: int, seconds: float | None) -> dict[str, Any]:
    """What a prior was asked for."""
    found: dict[str, Any] = {"label": steering.label, "seed": seed, "seconds": seconds}
    found["sampling"] = options.plain()
    if steering.features is not None:
        found["features"] = list(steering.features.shape)
        content = steering.features.contiguous().cpu().numpy().tobytes()
        found["features_digest"] = hashlib.sha256(content).hexdigest()[:16]
    return found


def made_by(fingerprints: dict[str, str], runtime: RuntimeConfig, device: torch.device) -> dict[str, Any]:
    """The parts of the model, and all that decides a sampled sound beside them and what was asked for."""
    precision = choose_precision(device, runtime.precision)
    rounded = device.type == "cpu" and runtime.precision != "fp32"
    return {
        "model": fingerprints,
        "melgpt": version("melspec-gpt-vqvae"),
        "computed": {
            "device": device.type,
            "processor": _processor(device),
            "precision": precision,
            "prior_weights": "bf16" if rounded else precision,
            "kernels": _kernels(runtime, device),
            "compile": runtime.compile,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
    }


def _kernels(runtime: RuntimeConfig, device: torch.device) -> str:
    """`c`, `triton` or `none`: which kernels of our own take part."""
    if runtime.compile == "off":
        return "none"
    if device.type == "cuda":
        return "none" if find_gpu_kernels() is None else "triton"
    return "c" if device.type == "cpu" and find_kernels() is not None else "none"


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(processor_facts().get("cpu_name") or platform.processor() or platform.machine())
