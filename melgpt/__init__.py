"""MelGPT: learns the sounds in a folder and makes new ones. Names are loaded on first use (PEP 562)."""

import importlib
import os
from typing import TYPE_CHECKING, Any

# Waiting threads that spin slow a shared machine many times; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from melgpt.audio.audio import Audio
    from melgpt.model_folder import load
    from melgpt.pipeline import Sound, SoundModel
    from melgpt.types import Clip, Codes, Mel, MelScale

_HOMES = {
    "load": "melgpt.model_folder",
    **dict.fromkeys(("Sound", "SoundModel"), "melgpt.pipeline"),
    "Audio": "melgpt.audio.audio",
    **dict.fromkeys(("Clip", "Codes", "Mel", "MelScale"), "melgpt.types"),
}
_MODULES = ("audio.io", "audio.mel", "checkpoint")
__all__ = ["Audio", "Clip", "Codes", "Mel", "MelScale", "Sound", "SoundModel", "load"]


def __getattr__(name: str) -> Any:
    if modules := [module for module in _MODULES if module.split(".")[0] == name]:
        for module in modules:
            importlib.import_module(f"melgpt.{module}")
        return globals()[name]
    if name not in _HOMES:
        raise AttributeError(f"module 'melgpt' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
