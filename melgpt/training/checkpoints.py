"""The checkpoints of a stage: how far they got, and the best one in the place of a damaged last one."""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import EarlyStopping

from melgpt.errors import UserError
from melgpt.paths import atomic
from melgpt.progress import say

LAST = "last.ckpt"
BEST = "best.ckpt"


@dataclass(frozen=True)
class Done:
    """How far a stage has got."""

    epochs: int = 0
    steps: int = 0


class Checkpoints:
    """The last and the best checkpoint in the folder of a stage; each is a zip file that torch wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def there(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return (self.folder / LAST).is_file()

    def recover(self, stage: str) -> None:
        """Put the best checkpoint in the place of a last one that is damaged or missing, and say so.

        A best checkpoint holds the whole state of training, so the stage ends with the same weights. Raises
        UserError where the last one is damaged and the best one is not whole either.
        """
        last, best = self.folder / LAST, self.folder / BEST
        found = last.is_file()
        if (found and _is_whole(last)) or not (found or _is_whole(best)):
            return
        if not _is_whole(best):
            raise UserError(
                f"{last} is damaged and there is no whole {BEST} beside it: delete {self.folder} to train "
                "the stage anew"
            )
        with atomic(last) as temporary:
            shutil.copyfile(best, temporary)
        say(f"{stage}: {last} {'was damaged' if found else 'was missing'}, so {BEST} takes its place")

    def read(self, name: str) -> Any:
        """The content of a checkpoint. Raises UserError where it is missing or damaged."""
        path = self.folder / name
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception:  # a damaged file makes the unpickler raise anything, KeyError included
            other = LAST if name == BEST else BEST
            raise UserError(
                f"the checkpoint {path} is missing or damaged: copy {other} to its place to keep those "
                f"weights, or delete {self.folder} to train the stage anew"
            ) from None

    def done(self, name: str = LAST) -> Done:
        """How far training had got when a checkpoint was written; nothing done where there is none."""
        if not (self.folder / name).is_file():
            return Done()
        content = self.read(name)
        batches = content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
        return Done(int(content["epoch"]) + 1, int(batches["completed"]))

    def stopped_early(self) -> bool:
        """Whether the stage had ended before its last step, as nothing got better any more."""
        callbacks = self.read(LAST)["callbacks"]
        stoppers = [state for name, state in callbacks.items() if name.startswith(EarlyStopping.__name__)]
        return any(state["wait_count"] >= state["patience"] for state in stoppers)


def _is_whole(path: Path) -> bool:
    """Whether all of a checkpoint is there as it was written, by its checksums."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except Exception:  # damaged directories make zipfile raise anything, NotImplementedError included
        return False
