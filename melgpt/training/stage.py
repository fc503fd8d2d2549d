"""One training stage under Lightning: resume, best and last checkpoint, and errors in words."""

import logging
import math
import shutil
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from melgpt.errors import UserError
from melgpt.pages import give_back
from melgpt.paths import alone, remove_orphans
from melgpt.progress import say
from melgpt.runtime import RuntimeConfig, choose_device, lightning_precision, quick_products
from melgpt.training.callbacks import Averaging, FlushBoard, ShowProgress, StepSeed
from melgpt.training.checkpoint_io import AtomicCheckpointIO, quiet_disk_errors
from melgpt.training.checkpoints import BEST, LAST, Checkpoints, Done
from melgpt.training.data import EpochData
from melgpt.training.errors import DivergedError
from melgpt.training.layout import quick_threads
from melgpt.training.settings import StageTraining
from melgpt.training.stamp import Stamp

STAMP = "stage.json"


def epochs(settings: StageTraining) -> tuple[int, int]:
    """Number of epochs of a stage and steps of each; an epoch is the stretch between two validations."""
    number = max(1, round(settings.steps / settings.validate_every))
    return number, math.ceil(settings.steps / number)


def last_epoch(settings: StageTraining, done: Done) -> int:
    """Number of epochs after which the stage has all of its steps, where so much is done.

    Epochs of a run that got more steps later may have had another length than those that follow.
    """
    number, length = epochs(settings)
    if done.steps == done.epochs * length:
        return number
    return done.epochs + max(0, math.ceil((settings.steps - done.steps) / length))


class Stage:
    """A stage with its folder: checkpoints, TensorBoard files and the stamp of what it is made from."""

    def __init__(
        self,
        name: str,
        folder: Path,
        made_from: dict[str, Any],
        *,
        same_task: Callable[[int], bool] = lambda steps: True,
        title: str | None = None,
        announce: bool = True,
    ) -> None:
        """made_from: plain values that decide the result. A run made from others is moved aside, but for one
        that now gets more steps and goes on. same_task: whether so many steps would be trained as these are.
        title: as it is named to the user, if not by its name; announce: whether it is said what was moved.
        """
        self.name, self.folder, self.title = name, folder, title or name
        self.moved_aside = False
        self.checkpoints, self._asked_before = Checkpoints(folder), 0
        stamp = Stamp(folder / STAMP, made_from)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if folder.exists():
                remove_orphans(folder)
                self._take_up(stamp, same_task, announce=announce)
            folder.mkdir(exist_ok=True)
            stamp.write()

    def _take_up(self, stamp: Stamp, same_task: Callable[[int], bool], *, announce: bool) -> None:
        """Go on with the run that the folder holds, or move it aside."""
        if stamp.is_there():
            self.checkpoints.recover(self.title)
            return
        before = stamp.steps_before()
        if before is not None and self.checkpoints.there and same_task(before):
            self.checkpoints.recover(self.title)
            training, done = stamp.made_from["training"], self.checkpoints.done()
            if training["steps"] >= min(before, done.steps):
                self._asked_before = before
                say(f"{self.title}: {_more(before, training, done)}")
                return
        self.moved_aside = True
        line = _move_aside(self.folder, self.title, stamp.changes())
        if announce:
            say(line)

    def _alone(self) -> AbstractContextManager[Any]:
        """Two processes that train one stage would write each other's checkpoints."""
        return alone(self.folder.with_name(f".{self.name}.lock"), f"training of {self.name} is going on")

    @property
    def resumes(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return self.checkpoints.there

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
        done, last = self.checkpoints.done(), self.folder / LAST
        if self.resumes and self.checkpoints.stopped_early():
            if self._asked_before:
                say(
                    f"{self.title}: stopped at step {done.steps}, as nothing got better any more, so more "
                    f"steps change nothing; a larger train.{self.name}.patience trains it again"
                )
            return
        runtime.take_threads()
        runtime.choose_kernels(task.modules())
        trainer = self._trainer(task, settings, runtime, monitor, callbacks)
        if self.resumes:
            say(f"{self.title}: going on from step {done.steps} of {_steps(settings, done)} ({last})")
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

    def load(self, task: lightning.LightningModule, name: str) -> str:
        """Put the averaged weights of a checkpoint, BEST or LAST, into the task; returns which step was kept.

        Also after training: a run that was killed behind its last step has nothing left to train.
        """
        task.load_state_dict(self.checkpoints.read(name)["state_dict"], strict=True)
        kept, last = (self.checkpoints.done(each).steps for each in (name, LAST))
        return f"{name.removesuffix('.ckpt')} kept: step {kept} of {last}"

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
        done, device = self.checkpoints.done(), choose_device(runtime.device)
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
            max_epochs=last_epoch(settings, done),
            accelerator={"cuda": "gpu"}.get(device.type, device.type),
            devices=1,
            precision=lightning_precision(device, runtime.precision, task),
            # What a killed run wrote behind its last checkpoint is written again and must not stay beside it.
            logger=TensorBoardLogger(self.folder, name="", version="", purge_step=done.steps),
            callbacks=[
                StepSeed(settings.seed),
                *callbacks,  # before the next one takes the averaged weights, which are validated, out again
                Averaging(settings.average),
                ShowProgress(self.title, _steps(settings, done), monitor),
                FlushBoard(),
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


def _steps(settings: StageTraining, done: Done) -> int:
    """Steps that the stage will have had: whole epochs, so some more than were asked."""
    return done.steps + (last_epoch(settings, done) - done.epochs) * epochs(settings)[1]


def _more(before: int, training: dict[str, Any], done: Done) -> str:
    """What more steps mean: the learning rate depends on their number from the end of its rise on."""
    more = f"{training['steps']} steps instead of {before}"
    if training["last_rate"] == 1 or done.steps <= training["warmup"]:
        return more
    return (
        f"{more}; from here on the learning rate is that of a run of {training['steps']} steps, so the "
        "result is close to such a run, not equal to it"
    )


def _move_aside(folder: Path, title: str, changed: list[str]) -> str:
    """Keep the newest earlier run beside the new one; returns what is to be said of it."""
    what = f"{title}: {', '.join(changed) or 'data or options'} changed, so it is trained again"
    if not any(folder.glob("*.ckpt")):
        # Stopped before its first checkpoint, it is worth less than what may be kept from before.
        shutil.rmtree(folder)
        return what
    aside = folder.with_name(f"{folder.name}.before")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    return f"{what}; the old run is kept in {aside} and may be deleted"
