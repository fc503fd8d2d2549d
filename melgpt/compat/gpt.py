"""`python GPT_train.py …`: the class-conditional GPT, with the originals' flags, folders and scalars."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor

from melgpt import checkpoint
from melgpt.arguments import command_line
from melgpt.compat.codes import Coded, open_coded
from melgpt.compat.corpus import seed_recipe
from melgpt.compat.flags import path_or_none
from melgpt.compat.folders import Experiment, find_checkpoint
from melgpt.compat.gpt_task import Listener, SeedPriorTask
from melgpt.compat.trainer import SEED, fit, validate
from melgpt.compat.vocoder import open_vocoder
from melgpt.compat.weights import MARK, fill, is_ours
from melgpt.errors import UserError
from melgpt.gpt.prior import Prior
from melgpt.pretrained.gpt import from_original
from melgpt.pretrained.reading import read_content, state_of
from melgpt.progress import say
from melgpt.training.recipe import Recipe

EPOCHS, BATCH, RATE = 300, 8, 1e-6
"""Of the originals' config_GPT_vas.py."""


def work(args: argparse.Namespace, recipe: Recipe | None = None, epochs: int = EPOCHS) -> None:
    """Train, evaluate, test, as the flags say. recipe, epochs: other than the originals'."""
    begun = begin(args, recipe)
    torch.manual_seed(SEED)
    coded = begun.coded
    prior = Prior(begun.recipe.prior.changed(labels=coded.store.labels, **coded.shape))
    task = SeedPriorTask(prior, RATE, begun.listen, args.logging_frequency)
    resume = _start(begun.resume, task) if begun.resume is not None else None
    carry_out(
        args,
        begun,
        task,
        {"prior": prior},
        epochs=epochs,
        batch=BATCH,
        monitor="val/loss_epoch",
        resume=resume,
    )
    if args.test:
        _test(begun.experiment.checkpoints)


@dataclass(frozen=True)
class Begun:
    """What both transformers' commands need before they know their network."""

    recipe: Recipe
    resume: Path | None
    coded: Coded
    listen: Listener | None
    experiment: Experiment


def begin(args: argparse.Namespace, recipe: Recipe | None) -> Begun:
    """Open the corpus, its codec and vocoder. Raises UserError for flags that do not go together."""
    recipe = recipe or seed_recipe(args.dataset, [])
    resume = find_checkpoint(args.resume, args.experiment, args.dataset) if args.resume else None
    if resume is None and not args.train:
        raise UserError("--eval and --test need weights: give --resume a checkpoint, or --train 1")
    coded = open_coded(args.reconstruct_spec, args.dataset, recipe, args.workers)
    if resume is not None:
        _check_codec(resume, coded)
    listen = open_listener(coded, args.vocoder)
    if listen is None and args.test:
        raise UserError("--test makes sounds: give --reconstruct_spec the codec")
    return Begun(recipe, resume, coded, listen, Experiment.new(args.experiment, args.dataset))


def carry_out(
    args: argparse.Namespace,
    begun: Begun,
    task: Any,
    parts: dict[str, Any],
    *,
    epochs: int,
    batch: int,
    monitor: str,
    resume: Path | None,
) -> None:
    """Train, write the model folder and evaluate, as the flags say."""
    data = begun.coded.data(batch)
    if args.train:
        fit(
            task,
            data,
            begun.experiment,
            begun.recipe,
            epochs=epochs,
            steps=begun.coded.steps(batch),
            monitor=monitor,
            resume=resume,
            callbacks=[LearningRateMonitor(logging_interval="step"), *_marking(begun.coded)],
        )
    if begun.listen is not None and (args.train or args.test):
        write_model(begun.experiment.checkpoints, begun.listen, {f: p.eval().cpu() for f, p in parts.items()})
    if args.eval:
        for name, value in sorted(validate(task, data, begun.recipe, begun.experiment).items()):
            print(f"{name:24} {value:.6g}")


class _Marking(Callback):
    """Writes into each checkpoint of which codec the codes are."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[MARK] = self.mark


def _marking(coded: Coded) -> list[Callback]:
    return [] if coded.codec is None else [_Marking(checkpoint.fingerprint(coded.codec))]


def _check_codec(resume: Path, coded: Coded) -> None:
    """Raises UserError where a checkpoint has learnt the codes of another codec than is given."""
    content = read_content(resume)
    learnt = content.get(MARK) if isinstance(content, dict) else None
    if learnt and coded.codec is not None and learnt != checkpoint.fingerprint(coded.codec):
        raise UserError(f"{resume} learnt the codes of another codec than that of --reconstruct_spec")


def open_listener(coded: Coded, vocoder: str | None) -> Listener | None:
    """What is heard of codes; nothing where their codec is not known."""
    if coded.codec is None:
        say("without --reconstruct_spec there are no pictures and sounds, and no model folder")
        return None
    return Listener(coded.codec, open_vocoder(path_or_none(vocoder), coded.codec.scale))


def write_model(folder: Path, listen: Listener, parts: dict[str, Any]) -> None:
    """A model folder of these parts, which every melgpt command reads."""
    mark = checkpoint.save(listen.codec, folder / "codec.safetensors")
    checkpoint.save(listen.vocoder, folder / "vocoder.safetensors")
    for family, part in parts.items():
        checkpoint.save(part, folder / f"{family}.safetensors", parents={"codec": mark})
    source = [] if "prior" in parts else ["--from", "vae"]
    say(f"a model folder, too: {command_line('generate', folder, *source, '-n', 4, '--out', 'new/')}")


def _start(path: Path, task: SeedPriorTask) -> Path | None:
    """The task with a checkpoint's weights; the checkpoint itself, where it is ours."""
    state = state_of(read_content(path), str(path))
    # The originals' file also holds the codec that it listened through.
    state = {key: t for key, t in state.items() if key.startswith("transformer.")} or state
    ours = is_ours(state, "gpt", path)
    if not ours:
        state = {f"prior.{name}": tensor for name, tensor in from_original(state).items()}
        say(f"{path} is an original's checkpoint: its weights are taken, the optimiser starts anew")
    fill(task, state, str(path))
    return path if ours else None


def _test(folder: Path) -> None:
    """New sounds of every class, with pictures."""
    from melgpt.commands.generate import save_sounds
    from melgpt.model_folder import load

    model = load(folder)
    for label in model.labels:
        for path in save_sounds(model.generate(label=label, n=2, top_k=100), folder / "test"):
            print(path)
