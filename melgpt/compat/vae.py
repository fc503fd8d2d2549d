"""`python GPT_VAE_train.py …`: the GPT-VAE in its two stages, with the originals' flags and folders."""

import argparse
from pathlib import Path

import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from torch import Tensor

from melgpt.compat.codes import SeedCodes, encode_corpus, open_codec
from melgpt.compat.corpus import open_corpus, seed_recipe
from melgpt.compat.flags import path_or_none
from melgpt.compat.folders import Experiment, find_checkpoint
from melgpt.compat.gpt import write_model
from melgpt.compat.gpt_task import Listener
from melgpt.compat.trainer import SEED, fit, validate
from melgpt.compat.vae_task import SeedKL, SeedVAETask
from melgpt.compat.vocoder import open_vocoder
from melgpt.errors import UserError
from melgpt.gpt.vae import GPTVAE
from melgpt.losses.kl import Annealing
from melgpt.pretrained.reading import read_content, state_of
from melgpt.pretrained.vae import from_original
from melgpt.progress import say
from melgpt.training.data import EpochData
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
    codec = open_codec(args.reconstruct_spec, recipe.codec)
    store = open_corpus(args.dataset, recipe, args.workers)
    vocoder = open_vocoder(path_or_none(args.vocoder), codec.scale)
    experiment = Experiment.new(args.experiment, args.dataset)
    codes = {split: encode_corpus(codec, store, split) for split in ("train", "valid")}
    clips, length = codes["train"].shape
    rows = codec.config.rows
    torch.manual_seed(SEED)
    vae = GPTVAE(recipe.vae.changed(codebook=codec.codebook_size, rows=rows, columns=length // rows))
    annealing = Annealing.over(args.warm_up, start=args.kl_start, clips=clips, batch=BATCH)
    task = SeedVAETask(
        vae,
        RATE,
        SeedKL(args.beta, annealing, args.fb, args.target_kl),
        Listener(codec, vocoder),
        every=args.logging_frequency,
        interpolate=bool(args.test_interpolation),
    )
    data = EpochData(
        lambda epoch: SeedCodes(codes["train"], store, "train", epoch),
        SeedCodes(codes["valid"], store, "valid"),
        batch=BATCH,
        valid_batch=BATCH,
    )
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
            steps=-(-clips // BATCH),
            monitor="val/loss",
            resume=resume,
            callbacks=[LearningRateMonitor(logging_interval="step")],
        )
    folder = experiment.checkpoints
    write_model(folder, {"codec": codec, "vocoder": vocoder, "vae": vae.eval().cpu()})
    if args.eval:
        for name, value in sorted(validate(task, data, recipe, experiment).items()):
            print(f"{name:24} {value:.6g}")
    if args.test:
        _test(folder, store.clip(int(store.rows("valid")[0])).path)


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


def _test(folder: Path, example: str) -> None:
    """New sounds from the prior of z, with pictures."""
    from melgpt.commands.generate import save_sounds
    from melgpt.pipeline import load

    for path in save_sounds(load(folder).generate_from_vae(n=4, top_k=100), folder / "test"):
        print(path)
