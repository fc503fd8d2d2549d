"""One training stage under Lightning: resume, best and last checkpoint, and errors in words."""

import logging
import math
import shutil
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from melgpt.errors import UserError
from melgpt.pages import give_back
from melgpt.paths import alone
from melgpt.progress import say
from melgpt.runtime import RuntimeConfig, choose_device, lightning_precision, quick_products
from melgpt.training.callbacks import Averaging, ShowProgress, StepSeed
from melgpt.training.checkpoint_io import AtomicCheckpointIO, quiet_disk_errors
from melgpt.training.data import EpochData
from melgpt.training.errors import DivergedError
from melgpt.training.layout import quick_threads
from melgpt.training.settings import StageTraining
from melgpt.training.stamp import Stamp

STAMP = "stage.json"
LAST = "last.ckpt"
BEST = "best.ckpt"


def epochs(settings: StageTraining) -> tuple[int, int]:
    """Number of epochs of a stage and steps of each; an epoch is the stretch between two validations."""
    number = max(1, round(settings.steps / settings.validate_every))
    return number, math.ceil(settings.steps / number)


class Stage:
    """A stage with its folder: checkpoints, TensorBoard files and the stamp of what it is made from."""

    def __init__(
        self,
        name: str,
        folder: Path,
        made_from: dict[str, Any],
        *,
        title: str | None = None,
        announce: bool = True,
    ) -> None:
        """made_from: plain values that decide the result; a run made from others is moved aside.

        title: as it is named to the user, if not by its name; announce: whether it is said what was moved.
        """
        self.name, self.folder, self.title = name, folder, title or name
        self.moved_aside = False
        stamp = Stamp(folder / STAMP, made_from)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if folder.exists() and not stamp.is_there():
                self.moved_aside = True
                _move_aside(folder, self.title, stamp.changes() if announce else None)
            folder.mkdir(exist_ok=True)
            stamp.write()

    def _alone(self) -> AbstractContextManager[Any]:
        """Two processes that train one stage would write each other's checkpoints."""
        return alone(self.folder.with_name(f".{self.name}.lock"), f"training of {self.name} is going on")

    @property
    def resumes(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return (self.folder / LAST).is_file()

    def train(
        self,
        task: Any,
        data: EpochData,
        *,
        settings: StageTraining,
        runtime: RuntimeConfig,
        monitor: str,
        callbacks: list[Callback],
    ) -> None:
        """Train a task, or go on from its last checkpoint; `load` then gives the weights to keep.

        Raises UserError when training diverges and KeyboardInterrupt when the user stops it.
        """
        if self.resumes and self._was_stopped():
            return
        number, length = epochs(settings)
        runtime.take_threads()
        runtime.choose_kernels(task.modules())
        trainer = self._trainer(task, settings, runtime, monitor, callbacks)
        last = self.folder / LAST
        if self.resumes:
            done = (int(self._read(LAST)["epoch"]) + 1) * length
            say(f"{self.title}: going on from step {done} of {number * length} ({last})")
        try:
            with (
                self._alone(),
                warnings.catch_warnings(),
                quiet_disk_errors(),
                quick_threads(task, runtime),
                quick_products(choose_device(runtime.device), runtime.precision),
            ):
                # The batches are cheap crops of mapped files: more workers would only cost memory.
                warnings.filterwarnings("ignore", ".*does not have many workers.*")
                warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
                # The folder exists because the stamp was written into it.
                warnings.filterwarnings("ignore", ".*exists and is not empty.*")
                warnings.filterwarnings("ignore", ".*LeafSpec.*")
                trainer.fit(task, datamodule=data, ckpt_path=last if self.resumes else None)
        except DivergedError as error:
            raise UserError(self._advice(error)) from None
        except SystemExit:
            # Lightning turns Ctrl-C into exit(1) after its own tidying up.
            raise KeyboardInterrupt from None
        finally:
            give_back()
        if trainer.interrupted:
            raise KeyboardInterrupt

    def load(self, task: lightning.LightningModule, name: str) -> None:
        """Put the averaged weights of a checkpoint, BEST or LAST, into the task.

        Also after training: a run that was killed behind its last step has nothing left to train.
        """
        saved = self._read(name)
        task.load_state_dict(saved["state_dict"], strict=True)

    def _was_stopped(self) -> bool:
        """Whether the run had ended before its last step, as nothing got better any more."""
        callbacks = self._read(LAST)["callbacks"]
        stoppers = [state for name, state in callbacks.items() if name.startswith(EarlyStopping.__name__)]
        return any(state["wait_count"] >= state["patience"] for state in stoppers)

    def _read(self, name: str) -> Any:
        """A checkpoint's content. Raises UserError where it is missing or damaged."""
        try:
            return torch.load(self.folder / name, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # a damaged file makes the unpickler raise anything, KeyError included
            raise UserError(
                f"the checkpoint {self.folder / name} is missing or damaged: delete {self.folder} to train "
                f"the stage anew ({error})"
            ) from None

    def _trainer(
        self,
        task: Any,
        settings: StageTraining,
        runtime: RuntimeConfig,
        monitor: str,
        callbacks: list[Callback],
    ) -> lightning.Trainer:
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
        number, length = epochs(settings)
        device = choose_device(runtime.device)
        # Two of them: one that has a monitor writes nothing, its last file neither, where nothing got better.
        best, last = (
            ModelCheckpoint(
                dirpath=self.folder,
                filename=name.removesuffix(".ckpt"),
                monitor=watched,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            )
            for name, watched in ((BEST, monitor), (LAST, None))
        )
        return lightning.Trainer(
            max_epochs=number,
            accelerator={"cuda": "gpu"}.get(device.type, device.type),
            devices=1,
            precision=lightning_precision(device, runtime.precision, task),
            logger=TensorBoardLogger(self.folder, name="", version=""),
            callbacks=[
                StepSeed(settings.seed),
                *callbacks,  # before the next one takes the averaged weights, which are validated, out again
                Averaging(settings.average),
                ShowProgress(self.title, number * length, monitor),
                best,
                last,
            ],
            plugins=[AtomicCheckpointIO()],
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    def _advice(self, error: DivergedError) -> str:
        last = self.folder / LAST
        good = f"the last good checkpoint is {last}" if self.resumes else "there is no checkpoint yet"
        return (
            f"{error}; {good}. Lower train.{self.name}.learning_rate (which starts the stage anew) or look "
            "for broken clips in audit.csv"
        )


def early_stopping(monitor: str, patience: int) -> EarlyStopping:
    """Stop after so many validations without a better result."""
    return EarlyStopping(monitor=monitor, patience=patience, mode="min")


def _move_aside(folder: Path, title: str, changed: list[str] | None) -> None:
    """Keep the newest earlier run beside the new one; nothing that took hours goes unasked.

    changed: what was other then, which is said; None: nothing is.
    """
    aside = folder.with_name(f"{folder.name}.before")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    if changed is None:
        return
    other = ", ".join(changed) or "data or options"
    say(f"{title}: trained before with other {other}; that run is kept in {aside}, which may be deleted")
