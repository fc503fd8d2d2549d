"""lightning_logs as the originals lay it out.

lightning_logs/EXPERIMENT/checkpoints/version_N/last.ckpt    what their README says; written and read
lightning_logs/EXPERIMENT/TensorBoardLoggs/version_N/        their spelling
lightning_logs/EXPERIMENT-DATASET/…                          what their code wrote; found when resuming
"""

import re
from dataclasses import dataclass
from pathlib import Path

from melgpt.errors import UserError

LOGS = Path("lightning_logs")
BOARD = "TensorBoardLoggs"
LAST = "last.ckpt"


@dataclass(frozen=True)
class Experiment:
    """The folders of one run of an experiment."""

    name: str
    dataset: str
    version: int

    @classmethod
    def new(cls, name: str, dataset: str) -> "Experiment":
        """The next free version."""
        if not re.fullmatch(r"[^/\\]+", name) or name in (".", ".."):
            raise UserError(f"--experiment is a name, without folders, not '{name}'")
        taken = [number for folder in (BOARD, "checkpoints") for number in _versions(LOGS / name / folder)]
        return cls(name, dataset, max(taken, default=-1) + 1)

    @property
    def checkpoints(self) -> Path:
        return LOGS / self.name / "checkpoints" / f"version_{self.version}"

    @property
    def board(self) -> Path:
        return LOGS / self.name / BOARD / f"version_{self.version}"


def find_checkpoint(given: str, name: str, dataset: str) -> Path:
    """The file that --resume means. Raises UserError, naming those that there are, where it is none."""
    path = Path(given)
    ours, theirs = ((LOGS / folder).as_posix() + "/" for folder in (name, f"{name}-{dataset}"))
    text = path.as_posix()
    for candidate in (path, Path(text.replace(ours, theirs)), Path(text.replace(theirs, ours))):
        if candidate.is_file():
            return candidate
    found = sorted(p.as_posix() for p in LOGS.glob(f"{name}*/checkpoints/version_*/{LAST}"))
    there = f"; there are: {', '.join(found)}" if found else ""
    raise UserError(f"--resume {given}: no such checkpoint{there}")


def _versions(folder: Path) -> list[int]:
    matches = [re.fullmatch(r"version_(\d+)", path.name) for path in folder.glob("version_*")]
    return [int(match[1]) for match in matches if match]
