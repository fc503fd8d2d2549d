"""Lightning's trainer as the originals set it up: epochs, constant rates, their folders and file names."""

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from melgpt.compat.folders import LAST, Experiment
from melgpt.compat.weights import check_epochs
from melgpt.paths import remove_orphans
from melgpt.progress import say
from melgpt.runtime import choose_device, lightning_precision, quick_products
from melgpt.training.callbacks import ShowProgress, StepSeed
from melgpt.training.checkpoint_io import AtomicCheckpointIO, quiet_disk_errors
from melgpt.training.data import EpochData
from melgpt.training.recipe import Recipe

SEED = 783435
"""The originals' own."""


def fit(
    task: lightning.LightningModule,
    data: EpochData,
    experiment: Experiment,
    recipe: Recipe,
    *,
    epochs: int,
    steps: int,
    monitor: str,
    resume: Path | None,
    callbacks: list[Callback],
) -> None:
    """Train for so many epochs of so many steps, or go on from a checkpoint.

    Raises KeyboardInterrupt when the user stops it, after saying where the last checkpoint lies.
    """
    _quiet()
    device = choose_device(recipe.runtime.device)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=1,
        precision=lightning_precision(device, recipe.runtime.precision, task),
        logger=_board(experiment),
        callbacks=[
            StepSeed(SEED),
            ShowProgress(experiment.name, epochs * steps, monitor),
            *callbacks,
            *_checkpoints(experiment, monitor),
        ],
        plugins=[AtomicCheckpointIO()],
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        log_every_n_steps=min(50, steps),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    say(
        f"{experiment.name}: checkpoints in {experiment.checkpoints}, TensorBoard files in {experiment.board}"
    )
    if resume is not None:
        remove_orphans(resume.parent)
        done = int(torch.load(resume, map_location="cpu", weights_only=True)["epoch"]) + 1
        check_epochs(resume, done, epochs)
        say(f"{experiment.name}: going on from {resume}, {done} of {epochs} epochs are done")
    try:
        with warnings.catch_warnings(), quiet_disk_errors(), quick_products(device, recipe.runtime.precision):
            warnings.simplefilter("ignore")
            trainer.fit(task, datamodule=data, ckpt_path=resume, weights_only=True)
    except SystemExit:
        raise KeyboardInterrupt(_stopped(experiment)) from None
    if trainer.interrupted:
        raise KeyboardInterrupt(_stopped(experiment))


def _stopped(experiment: Experiment) -> str:
    last = experiment.checkpoints / LAST
    if last.is_file():
        return f"stopped; the last whole epoch is kept: go on with --resume {last}"
    return "stopped before the end of the first epoch: there is no checkpoint yet"


def validate(
    task: lightning.LightningModule, data: EpochData, recipe: Recipe, experiment: Experiment
) -> dict[str, float]:
    """One pass over the validation clips with the task's weights; its scalars by their names."""
    _quiet()
    device = choose_device(recipe.runtime.device)
    trainer = lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=1,
        precision=lightning_precision(device, recipe.runtime.precision, task),
        logger=_board(experiment),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results: Any = trainer.validate(task, datamodule=data, verbose=False)
    return {name: float(value) for name, value in results[0].items()}


def _board(experiment: Experiment) -> TensorBoardLogger:
    return TensorBoardLogger(
        experiment.board.parent.parent, name=experiment.board.parent.name, version=experiment.board.name
    )


def _checkpoints(experiment: Experiment, monitor: str) -> list[Callback]:
    """The best by the monitor, and the last: with a monitor, nothing is written where nothing got better."""
    best = f"{Path(experiment.dataset).name}-model-best"
    return [
        ModelCheckpoint(
            dirpath=experiment.checkpoints,
            filename=name,
            monitor=watched,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        for name, watched in ((best, monitor), (LAST.removesuffix(".ckpt"), None))
    ]


def _quiet() -> None:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
