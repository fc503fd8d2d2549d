"""What a run's folder may hold when it begins, and the figures that an earlier run left in it."""

import json
from pathlib import Path
from typing import Any

from melgpt.errors import UserError

FIGURES = "figures.json"


def check_folder(folder: Path) -> None:
    """Raises UserError for a folder that holds something else than a run: its files would be written over."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file; give a folder")
    ours = ("data/data.json", "data.partial", "training", "listeners", FIGURES, "codec.safetensors")
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in ours):
        raise UserError(f"--out {folder} is not empty and not a model folder: give a new folder")


def read_figures(file: Path) -> dict[str, Any]:
    """Figures of an earlier run; mere statistics, so damaged ones are forgotten."""
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        figures = None
    return figures if isinstance(figures, dict) and "seconds" in figures else {"seconds": {}}
