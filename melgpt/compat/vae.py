"""`python GPT_VAE_train.py …`: the GPT-VAE in its two stages, with the originals' flags and folders."""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from melgpt.compat.gpt import begin, carry_out
from melgpt.compat.trainer import SEED
from melgpt.compat.vae_task import SeedKL, SeedVAETask
from melgpt.compat.weights import fill, is_ours
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
    begun = begin(args, recipe)
    torch.manual_seed(SEED)
    coded = begun.coded
    vae = GPTVAE(begun.recipe.vae.changed(**coded.shape))
    annealing = Annealing.over(
        args.warm_up, start=args.kl_start, clips=len(coded.codes["train"]), batch=BATCH
    )
    task = SeedVAETask(
        vae,
        RATE,
        SeedKL(args.beta, annealing, args.fb, args.target_kl),
        begun.listen,
        every=args.logging_frequency,
        interpolate=bool(args.test_interpolation),
    )
    resume = None
    if begun.resume is not None:
        resume = _start(begun.resume, task)
    elif args.load_path is not None:
        _take_encoder(Path(args.load_path), vae)
    carry_out(args, begun, task, {"vae": vae}, epochs=epochs, batch=BATCH, monitor="val/loss", resume=resume)
    if args.test:
        _test(begun.experiment.checkpoints)


def _weights(path: Path) -> tuple[dict[str, Tensor], bool]:
    """The VAE's state dict in a checkpoint of ours or of the originals, and whether it is ours."""
    state = state_of(read_content(path), str(path))
    if is_ours(state, "vae", path):
        return {key.removeprefix("vae."): t for key, t in state.items()}, True
    return from_original(state), False


def _start(path: Path, task: SeedVAETask) -> Path | None:
    """The task with a checkpoint's weights; the checkpoint itself, where it is ours."""
    state, ours = _weights(path)
    fill(task.vae, state, str(path))
    if not ours:
        say(f"{path} is an original's checkpoint: its weights are taken, the optimiser starts anew")
    return path if ours else None


def _take_encoder(path: Path, vae: GPTVAE) -> None:
    """Stage two begins with the encoder of stage one; the decoder starts anew."""
    state, _ = _weights(path)
    inside = {key.removeprefix("encoder."): t for key, t in state.items() if key.startswith("encoder.")}
    fill(vae.encoder, inside, f"--load_path {path}")
    say(f"encoder from {path}")


def _test(folder: Path) -> None:
    """New sounds from the prior of z, with pictures."""
    from melgpt.commands.generate import save_sounds
    from melgpt.model_folder import load

    for path in save_sounds(load(folder).generate_from_vae(n=4, top_k=100), folder / "test"):
        print(path)
