"""A model folder, opened: its parts, each of the kind that it says it is, that belong together."""

from pathlib import Path
from typing import Any

from melgpt import checkpoint
from melgpt.errors import UserError
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
    for family in ("prior", "vae"):
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
        fingerprints=marks,
        runtime=options,
    )
