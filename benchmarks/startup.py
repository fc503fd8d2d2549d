"""How long a command takes to be there: `melgpt --help` beside an empty Python; what `generate` opens."""

import subprocess
import sys

from benchmarks.machine import Machine
from benchmarks.measure import Row, row

OPEN = "import melgpt.pipeline, melgpt.audio.picture"
TORCH = "import torch"


def rows(machine: Machine, quick: bool) -> list[Row]:
    """Two rows; the limit is Python itself, and torch's own import."""
    rounds = 3 if quick else 10
    return [_row("melgpt --help", ["-m", "melgpt", "--help"], "pass", rounds),
            _row("opening what `generate` needs", ["-c", OPEN], TORCH, rounds)]  # fmt: skip


def _row(name: str, command: list[str], least: str, rounds: int) -> Row:
    limit = row("", {"ours": lambda: _run(["-c", least])}, rounds).ours
    return row(name, {"ours": lambda: _run(command)}, rounds, limit=limit, note=f"limit: python -c '{least}'")


def _run(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
