"""A model folder, opened: its parts, each of the kind that it says it is, that belong together."""

import json
from pathlib import Path
from typing import Any

from melgpt import checkpoint
from melgpt.errors import UserError
from melgpt.gpt.vae import COLLAPSED
from melgpt.paths import FIGURES
from melgpt.pipeline import SoundModel
from melgpt.runtime import RuntimeConfig


def load(folder: Path | str, **runtime: Any) -> SoundModel:
    """Open a model folder. Raises UserError for a missing, damaged or foreign part.

    runtime: precision, device, threads, compile, see RuntimeConfig; by default what suits the machine.
    """
    options, folder = RuntimeConfig.parse(runtime), Path(folder)
    if not folder.is_dir():
        raise UserError(f"no such model folder: {folder}")
    parts = {
        family: checkpoint.load(folder / f"{family}.safetensors", family) for family in ("codec", "vocoder")
    }
    marks = {family: checkpoint.describe(folder / f"{family}.safetensors").fingerprint for family in parts}
    for family in ("decoder", "prior", "vae"):
        file = folder / f"{family}.safetensors"
        if not file.exists():
            continue
        parts[family] = checkpoint.load(file, family)
        description = checkpoint.describe(file)
        marks[family] = description.fingerprint
        if description.parents.get("codec") != marks["codec"]:
            raise UserError(
                f"{file} was trained on codec {description.parents.get('codec')}, the folder holds "
                f"codec {marks['codec']}: train the {family} again or bring back its codec"
            )
    return SoundModel(
        parts["codec"],
        parts["vocoder"],
        parts.get("prior"),
        parts.get("vae"),
        parts.get("decoder"),
        fingerprints=marks,
        runtime=options,
    )


def vae_warnings(folder: Path) -> list[str]:
    """What to tell who uses the VAE of a model folder: whether it was found collapsed after its training."""
    file = folder / "vae.safetensors"
    active = checkpoint.describe(file).notes.get("active_units") if file.is_file() else None
    if file.is_file() and active is None:  # from before this was noted in the file
        active = _figures(folder / FIGURES).get("vae", {}).get("active_units")
    if active is None or active > 0:
        return []
    return [f"vae: {COLLAPSED}, so its sounds hardly differ: train it again with a smaller train.vae.beta"]


def _figures(file: Path) -> dict[str, Any]:
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return figures if isinstance(figures, dict) else {}
