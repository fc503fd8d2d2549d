"""`python train.py …`: the codec, with the originals' flags, folders and scalars."""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from melgpt import checkpoint
from melgpt.arguments import command_line
from melgpt.codec.codec import Codec
from melgpt.codec.discriminator import DiscriminatorConfig
from melgpt.compat.codec_task import SeedCodecTask, SeedLosses
from melgpt.compat.corpus import SeedMels, open_corpus, seed_recipe
from melgpt.compat.folders import Experiment, find_checkpoint
from melgpt.compat.resume import Start, start_codec
from melgpt.compat.trainer import SEED, fit, validate
from melgpt.compat.vocoder import open_vocoder
from melgpt.compat.weights import check_epochs
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.losses.codec import CodecLossWeights
from melgpt.progress import progress, say
from melgpt.runtime import choose_device
from melgpt.training.data import EpochData
from melgpt.training.recipe import Recipe

TESTED = 8
"""Clips of which --test 1 writes sound and picture."""


def work(args: argparse.Namespace, recipe: Recipe | None = None) -> None:
    """Train, evaluate, test, as the flags say. recipe: other sizes than the originals'."""
    if args.disc_conditional or args.disc_in_channels != 1:
        raise UserError("the discriminator sees the mel alone: --disc_conditional False --disc_in_channels 1")
    recipe = recipe or seed_recipe(args.dataset, _changes(args))
    resume = find_checkpoint(args.resume, args.experiment, args.dataset) if args.resume else None
    if resume is None and not args.train:
        raise UserError("--eval and --test need weights: give --resume a checkpoint, or --train 1")
    store = open_corpus(args.dataset, recipe, args.workers)
    experiment = Experiment.new(args.experiment, args.dataset)
    torch.manual_seed(SEED)
    vocoder = open_vocoder(None, recipe.mel)
    task = SeedCodecTask(Codec(recipe.codec), DiscriminatorConfig(), _losses(args), vocoder)
    data = EpochData(
        lambda epoch: SeedMels(store, "train", epoch),
        SeedMels(store, "valid"),
        batch=args.batch_size,
        valid_batch=args.batch_size,
    )
    start = start_codec(resume, task) if resume is not None else Start()
    if args.train:
        if resume is not None:
            check_epochs(resume, start.epochs, args.epochs)
        steps = -(-len(store.rows("train")) // args.batch_size)
        fit(
            task,
            data,
            experiment,
            recipe,
            epochs=args.epochs,
            steps=steps,
            monitor="val/total_loss",
            resume=start.checkpoint,
            callbacks=list(start.callbacks),
        )
    if args.train or args.test:
        _write_model(task, vocoder, experiment.checkpoints)
    if args.eval:
        for name, value in sorted(validate(task, data, recipe, experiment).items()):
            print(f"{name:24} {value:.6g}")
    if args.test:
        _test(task, store, vocoder, experiment.checkpoints / "test")


def _changes(args: argparse.Namespace) -> list[str]:
    return [
        f"codec.quantizer.codes={args.num_embeddings}",
        f"codec.quantizer.dim={args.embedding_dim}",
        f"codec.quantizer.noise_sigma={args.noise_sigma}",
        f"codec.quantizer.restart={str(bool(args.cd_rand_res)).lower()}",
    ]


def _losses(args: argparse.Namespace) -> SeedLosses:
    return SeedLosses(
        learning_rate=args.learning_rate * args.batch_size,
        disc_start=args.disc_start,
        weights=CodecLossWeights(
            quantizer=args.codebook_weight,
            adversarial=args.disc_weight,
            adversarial_least=args.min_adapt_weight,
            adversarial_limit=args.max_adapt_weight,
        ),
    )


def _write_model(task: SeedCodecTask, vocoder: Any, folder: Path) -> None:
    """The same weights as a model folder, which every melgpt command reads."""
    checkpoint.save(task.codec, folder / "codec.safetensors")
    checkpoint.save(vocoder, folder / "vocoder.safetensors")
    say(f"a model folder, too: {command_line('reconstruct', folder, 'some.wav', 'back.wav')}")


@torch.inference_mode()
def _test(task: SeedCodecTask, store: Store, vocoder: Any, out: Path) -> None:
    """Reconstructions of validation clips with their measures: sounds, one sheet of pictures, a table."""
    from melgpt.audio.io import write
    from melgpt.audio.picture import contact_sheet
    from melgpt.types import Audio

    codec = task.codec.eval().to(choose_device())
    mels = SeedMels(store, "valid")
    rows: list[tuple[str, list[Tensor]]] = []
    lines = ["clip\tmel_l1"]
    with progress("test", len(mels)) as bar:
        for number, row in enumerate(mels.rows):
            clip = store.clip(int(row))
            mel = (mels[number] + 1) / 2
            restored = codec.detokenize(codec.tokenize(mel.to(choose_device()))).cpu()
            lines.append(f"{clip.id}\t{float((restored - mel).abs().mean()):.5f}")
            if number < TESTED:
                for name, values in (("original", mel), ("reconstruction", restored)):
                    write(out / f"{number:03d}_{name}.wav", Audio(vocoder(values), store.scale.rate))
                rows.append((clip.label, [mel[0], restored[0]]))
            bar.advance()
    contact_sheet(out / "sheet.png", rows, store.scale, heads=("original", "reconstruction"))
    (out / "measures.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    errors = [float(line.split("\t")[1]) for line in lines[1:]]
    print(f"mel L1 of {len(errors)} validation clips: {sum(errors) / len(errors):.5f}")
    print(out)
