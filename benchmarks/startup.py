"""How long a command takes to be there: `melgpt --help` beside an empty Python; what `generate` opens."""

from benchmarks.machine import Machine
from benchmarks.measure import Row, row
from benchmarks.memory import Command

OPEN = "import melgpt.pipeline, melgpt.audio.picture"
TORCH = "import torch"


def rows(machine: Machine, quick: bool) -> list[Row]:
    """Two rows; the limit is Python itself, and torch's own import."""
    rounds = 3 if quick else 10
    return [_row("melgpt --help", ["-m", "melgpt", "--help"], "pass", rounds),
            _row("opening what `generate` needs", ["-c", OPEN], TORCH, rounds)]  # fmt: skip


def _row(name: str, command: list[str], least: str, rounds: int) -> Row:
    limit = row("", {"ours": Command(["-c", least])}, rounds).ours
    return row(name, {"ours": Command(command)}, rounds, limit=limit, note=f"limit: python -c '{least}'")
