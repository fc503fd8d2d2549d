"""What this program wrote itself, which is never learnt: model folders, data sets, reports, new sounds."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from melgpt.audio.sound import write_how
from melgpt.paths import FIGURES, RECIPE

Names = frozenset[str]

_PARTS = frozenset(f"{part}.safetensors" for part in ("codec", "decoder", "prior", "vae", "vocoder"))
_RUN = frozenset((FIGURES, "training", "data", "data.partial", "listeners"))


def _is_model(folder: Path, names: Names) -> bool:
    """A model folder, also one that training has only begun."""
    return bool(names & _PARTS) or (bool(names & {RECIPE, FIGURES}) and len(names & (_RUN | {RECIPE})) > 1)


def _is_data_set(folder: Path, names: Names) -> bool:
    """A prepared data set, also one that is still worked at."""
    return {"data.json", "index.npy"} <= names or {"journal.sqlite", "shards"} <= names


def _is_report(folder: Path, names: Names) -> bool:
    """A report of `evaluate`, or what a stopped one left."""
    return {"report.html", "report.json"} <= names or (
        {"work", "sounds"} <= names and (folder / "work" / "codes").exists()
    )


def _is_demo(folder: Path, names: Names) -> bool:
    """What `demo` wrote: its corpus is made by formulas."""
    return {"corpus", "model"} <= names and (folder / "corpus" / ".complete").is_file()


def _is_codes(folder: Path, names: Names) -> bool:
    """What `encode` wrote."""
    if not names or not all(name.endswith(".npz") for name in names):
        return False
    try:
        with zipfile.ZipFile(folder / min(names)) as arrays:
            return {"grid.npy", "codebook.npy", "codec.npy"} <= set(arrays.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _is_log(folder: Path, names: Names) -> bool:
    """What the originals' commands wrote."""
    return folder.name == "lightning_logs"


KINDS: dict[str, Callable[[Path, Names], bool]] = {
    "model": _is_model,
    "data set": _is_data_set,
    "report": _is_report,
    "demo": _is_demo,
    "codes": _is_codes,
    "log": _is_log,
}


def kind_of_output(folder: Path, names: Names) -> str:
    """What of this program's own a folder with these entries is, such as `model`; empty where it is none."""
    return next((kind for kind, recognises in KINDS.items() if recognises(folder, names)), "")


def tells_how_made(file: Path) -> bool:
    """Whether a JSON file is what `generate` and other commands write beside a new sound.

    People keep JSON of their own beside sounds, so its content decides.
    """
    try:
        how = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(how, dict):
        return False
    parts = how.get("model")
    return (isinstance(parts, dict) and "codec" in parts) or {"seed", "index", "sampling"} <= how.keys()


def mark_as_made(sound: Path, how: dict[str, Any]) -> None:
    """Write how a sound was made as JSON beside it; a JSON of another origin that lies there stays.

    how: `model`, the fingerprints of the model's parts, and what else is known.
    """
    file = sound.with_suffix(".json")
    if not file.exists() or tells_how_made(file):
        write_how(file, how)
