"""`python GPT_VAE_train.py …`: the GPT-VAE in its two stages, with the originals' flags and folders."""

import argparse
from pathlib import Path

import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from torch import Tensor

from melgpt.compat.codes import open_coded
from melgpt.compat.corpus import seed_recipe
from melgpt.compat.folders import Experiment, find_checkpoint
from melgpt.compat.gpt import open_listener, write_model
from melgpt.compat.trainer import SEED, fit, validate
from melgpt.compat.vae_task import SeedKL, SeedVAETask
from melgpt.errors import UserError
from melgpt.gpt.vae import GPTVAE
from melgpt.losses.kl import Annealing
from melgpt.pretrained.reading import read_content, state_of
from melgpt.pretrained.vae import from_original
from melgpt.progress import say
from melgpt.training.recipe import Recipe

EPOCHS, BATCH, RATE = 400, 2, 1e-6
"""Of the originals' config_GPT_VAE_vas.py."""


def work(args: argparse.Namespace, recipe: Recipe | None = None, epochs: int = EPOCHS) -> None:
    """Train, evaluate, test, as the flags say. recipe, epochs: other than the originals'."""
    if (args.gpus or 1) > 1 or args.num_nodes > 1:
        raise UserError("--gpus and --num_nodes: training runs on one device; leave them out or give 1")
    recipe = recipe or seed_recipe(args.dataset, [])
    resume = find_checkpoint(args.resume, args.experiment, args.dataset) if args.resume else None
    if resume is None and not args.train:
        raise UserError("--eval and --test need weights: give --resume a checkpoint, or --train 1")
    coded = open_coded(args.reconstruct_spec, args.dataset, recipe, args.workers)
    listen = open_listener(coded, args.vocoder)
    if listen is None and args.test:
        raise UserError("--test makes sounds: give --reconstruct_spec the codec")
    experiment = Experiment.new(args.experiment, args.dataset)
    torch.manual_seed(SEED)
    vae = GPTVAE(recipe.vae.changed(**coded.shape))
    annealing = Annealing.over(
        args.warm_up, start=args.kl_start, clips=len(coded.codes["train"]), batch=BATCH
    )
    task = SeedVAETask(
        vae,
        RATE,
        SeedKL(args.beta, annealing, args.fb, args.target_kl),
        listen,
        every=args.logging_frequency,
        interpolate=bool(args.test_interpolation),
    )
    data = coded.data(BATCH)
    if resume is not None:
        resume = _start(resume, task)
    elif args.load_path is not None:
        _take_encoder(Path(args.load_path), vae)
    if args.train:
        fit(
            task,
            data,
            experiment,
            recipe,
            epochs=epochs,
            steps=coded.steps(BATCH),
            monitor="val/loss",
            resume=resume,
            callbacks=[LearningRateMonitor(logging_interval="step")],
        )
    folder = experiment.checkpoints
    if listen is not None and (args.train or args.test):
        write_model(folder, listen, {"vae": vae.eval().cpu()})
    if args.eval:
        for name, value in sorted(validate(task, data, recipe, experiment).items()):
            print(f"{name:24} {value:.6g}")
    if args.test:
        _test(folder)


def _weights(path: Path) -> tuple[dict[str, Tensor], bool]:
    """The VAE's state dict in a checkpoint of ours or of the originals, and whether it is ours."""
    state = state_of(read_content(path), str(path))
    ours = {key.removeprefix("vae."): t for key, t in state.items() if key.startswith("vae.")}
    return (ours, True) if ours else (from_original(state), False)


def _start(path: Path, task: SeedVAETask) -> Path | None:
    """The task with a checkpoint's weights; the checkpoint itself, where it is ours."""
    state, ours = _weights(path)
    try:
        task.vae.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit the model: {str(error).splitlines()[1].strip()}") from None
    if not ours:
        say(f"{path} is an original's checkpoint: its weights are taken, the optimiser starts anew")
    return path if ours else None


def _take_encoder(path: Path, vae: GPTVAE) -> None:
    """Stage two begins with the encoder of stage one; the decoder starts anew."""
    state, _ = _weights(path)
    inside = {key.removeprefix("encoder."): t for key, t in state.items() if key.startswith("encoder.")}
    try:
        vae.encoder.load_state_dict(inside, strict=True)
    except RuntimeError as error:
        raise UserError(f"--load_path {path} does not fit: {str(error).splitlines()[1].strip()}") from None
    say(f"encoder from {path}")


def _test(folder: Path) -> None:
    """New sounds from the prior of z, with pictures."""
    from melgpt.commands.generate import save_sounds
    from melgpt.pipeline import load

    for path in save_sounds(load(folder).generate_from_vae(n=4, top_k=100), folder / "test"):
        print(path)
