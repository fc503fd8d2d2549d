"""The stage `classifier`: listeners of several architectures and seeds, for `evaluate`.

They learn from the training split alone, for a fixed number of steps; no other clip chooses anything.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from melgpt import checkpoint, registry
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.evaluation.hearing import MOST_SECONDS
from melgpt.evaluation.listener import ListenerConfig
from melgpt.paths import remove_orphans
from melgpt.progress import say
from melgpt.runtime import RuntimeConfig
from melgpt.training.checkpoints import LAST
from melgpt.training.classifier_task import ClassifierTask
from melgpt.training.data import EpochData
from melgpt.training.listener_batches import Examples, ListenerBatches, WholeExamples, band_statistics
from melgpt.training.run_folder import digest
from melgpt.training.settings import ClassifierTraining
from melgpt.training.stage import Stage, epochs


@dataclass(frozen=True)
class _Listener:
    """One listener that is to be trained."""

    name: str
    title: str
    """As its progress is named."""
    config: Any
    settings: ClassifierTraining
    made_from: dict[str, Any]
    announce: bool = True
    """Whether it is said that an earlier run of it was moved aside."""


@dataclass(frozen=True)
class ListenerTraining:
    """Where listeners are trained, and how."""

    folder: Path
    settings: ClassifierTraining
    runtime: RuntimeConfig

    def train_all(self, store: Store) -> list[Path]:
        """The file of each listener in the order of kinds and seeds; those that are there are kept.

        Raises UserError where a class has too few training clips.
        """
        examples = Examples.of_store(store, "train")
        _check(store, examples)
        remove_orphans(self.folder)
        held = Examples.of_store(store, "test" if len(store.rows("test")) else "valid")
        files, announce = [], True
        wanted = self._wanted(store, examples)
        for number, (config, settings) in enumerate(wanted, 1):
            name = f"{config.kind.replace(':', '.')}_{settings.seed}"
            made_from = {
                "data": store.fingerprint,
                "listener": config.plain(),
                "training": settings.plain(),
            }
            file = self.folder / f"{name}.safetensors"
            files.append(file)
            if checkpoint.is_readable(file) and checkpoint.describe(file).notes.get("made_from") == digest(
                made_from
            ):
                continue
            title = f"listener {number} of {len(wanted)}"
            listener = _Listener(name, title, config, settings, made_from, announce)
            part, moved = self._train(listener, examples, held if len(held.labels) else examples)
            announce = announce and not moved  # the reason is the same for all
            notes = {
                "made_from": digest(made_from),
                "seed": settings.seed,
                "train_clips": len(examples.labels),
            }
            checkpoint.save(part, file, parents={"data": store.fingerprint}, notes=notes)
        if files:
            say(f"listeners: {len(files)} in {self.folder}")
        return files

    def train_on(self, name: str, examples: Examples, held: Examples, like: Any) -> Any:
        """A new listener of the configuration `like` that has learnt from these clips; saved nowhere."""
        settings = _one(self.settings, like, self.settings.seed)
        made_from = {"listener": like.plain(), "training": settings.plain(), "clips": _digest_of(examples)}
        title = name.replace("_", " ")
        return self._train(_Listener(name, title, like, settings, made_from), examples, held)[0]

    def _wanted(self, store: Store, examples: Examples) -> list[tuple[Any, ClassifierTraining]]:
        """All configurations; a wrong one is told before the first is trained."""
        longest = int(store.frames[store.rows("train")].max())
        frames = max(16, min(longest, round(MOST_SECONDS * store.scale.frames_per_second)))
        given = {"mel": store.scale.plain(), "labels": list(store.labels), "frames": frames}
        configs = []
        for kind in self.settings.kinds:
            config = registry.resolve("classifier", kind).Config
            knows = {"blurred": self.settings.blurred > 0} if issubclass(config, ListenerConfig) else {}
            configs.append(config.parse({"kind": kind, **given, **knows}, where=kind))
        seeds = range(self.settings.seed, self.settings.seed + self.settings.seeds)
        return [(config, _one(self.settings, config, seed)) for config in configs for seed in seeds]

    def _train(self, wanted: _Listener, examples: Examples, held: Examples) -> tuple[Any, bool]:
        """The trained listener, and whether an earlier run of it was moved aside."""
        config, settings = wanted.config, wanted.settings
        torch.manual_seed(settings.seed)
        listener = registry.build("classifier", config)
        for statistic, values in zip(("mean", "std"), band_statistics(examples), strict=True):
            if hasattr(listener, statistic):
                getattr(listener, statistic).copy_(values)
        task = ClassifierTask(listener, settings)
        number, length = epochs(settings)
        data = EpochData(
            lambda epoch: ListenerBatches(
                examples, settings, frames=config.frames, epoch=epoch, length=length * settings.batch
            ),
            WholeExamples(held, config.frames),
            batch=settings.batch,
            valid_batch=settings.batch,
        )
        folder = self.folder / "training" / wanted.name
        stage = Stage(wanted.name, folder, wanted.made_from, title=wanted.title, announce=wanted.announce)
        stage.train(task, data, settings=settings, runtime=self.runtime, monitor="val/error", callbacks=[])
        stage.load(task, LAST)
        return task.part.eval(), stage.moved_aside


def _one(settings: ClassifierTraining, config: Any, seed: int) -> ClassifierTraining:
    """The training of one listener; only a ListenerConfig has a class for blur."""
    blurred = settings.blurred if isinstance(config, ListenerConfig) and config.blurred else 0.0
    return settings.changed(kinds=(config.kind,), seeds=1, seed=seed, blurred=blurred)


def _check(store: Store, examples: Examples) -> None:
    if len(store.labels) < 2:
        raise UserError(
            f"a listener tells classes apart: it needs at least two, {store.folder} has {len(store.labels)}"
        )
    learnt, all_clips = (
        np.bincount(labels, minlength=len(store.labels)) for labels in (examples.labels, store.label_ids)
    )
    for label, training, clips in zip(store.labels, learnt, all_clips, strict=True):
        if clips < 2 or training < 1:
            raise UserError(
                f"the class '{label}' of {store.folder} has {clips} clips, {training} of them for training: "
                "a listener needs one to learn from, and another one to be examined with"
            )


def _digest_of(examples: Examples) -> str:
    content = hashlib.sha256(examples.labels.tobytes())
    for number in range(len(examples.labels)):
        content.update(np.ascontiguousarray(examples.mel(number)).tobytes())
    return content.hexdigest()[:16]
