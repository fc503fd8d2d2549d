"""The flags of the originals' three scripts, with their names, types and defaults. Nothing here needs torch.

MelSpec_VQVAE's train.py; MelSpec_GPT_VQVAE's GPT_train.py and GPT_VAE_train.py.
"""

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from melgpt.arguments import OneLineParser, allow_any_script, complain, positive
from melgpt.errors import UserError
from melgpt.pages import kept_pages
from melgpt.paths import disk_message
from melgpt.signals import stopped_by_signals


def text_or_none(text: str) -> str | None:
    """The originals write the absence of a path as `None` or as nothing."""
    return None if text in ("", "None") else text


def flag(text: str) -> bool:
    """`False`, `0` and nothing are false. With the originals' type=bool every text, `False` too, was true."""
    if text.lower() not in ("true", "false", "1", "0", "yes", "no", ""):
        raise argparse.ArgumentTypeError(f"True or False were expected, not '{text}'")
    return text.lower() in ("true", "1", "yes")


def count(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0 on was expected, not '{text}'")
    return int(text)


def rate(text: str) -> float:
    """A number above 0."""
    return _number(text, lambda value: value > 0, "a number above 0")


def share(text: str) -> float:
    """A number from 0 to 1."""
    return _number(text, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def weight(text: str) -> float:
    """A number from 0 on."""
    return _number(text, lambda value: value >= 0, "a number from 0 on")


def _number(text: str, fits: Callable[[float], bool], wanted: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and fits(value)):
        raise argparse.ArgumentTypeError(f"{wanted} was expected, not '{text}'")
    return value


def codec_flags() -> argparse.ArgumentParser:
    """train.py: the codec."""
    parser = _parser("train.py", "Train, evaluate and test the codec (VQ-GAN) as MelSpec_VQVAE does.")
    add = parser.add_argument
    add("--batch_size", type=positive, default=3, help="clips a step (3)")
    add("--embedding_dim", type=positive, default=256, help="length of a code's vector (256)")
    add("--num_embeddings", type=positive, default=128, help="codes of the codebook (128)")
    add("--learning_rate", type=rate, default=1e-6, help="is multiplied by the batch size (1e-6)")
    add("--epochs", type=positive, default=100, help="passes over the training clips (100)")
    add("--workers", type=positive, default=4, help="threads that prepare the corpus (4)")
    add("--disc_conditional", type=flag, default=False, help="only False is possible, as in the original")
    add("--disc_in_channels", type=int, default=1, help="only 1 is possible: a mel has one channel (1)")
    add("--disc_start", type=count, default=2001, help="batch at which the discriminator joins (2001)")
    add("--disc_weight", type=weight, default=0.8, help="factor on the adaptive weight (0.8)")
    add("--codebook_weight", type=weight, default=1.0, help="weight of the codebook's loss (1.0)")
    add("--min_adapt_weight", type=weight, default=0.0, help="smallest adaptive weight (0.0)")
    add("--max_adapt_weight", type=weight, default=1.0, help="largest adaptive weight (1.0)")
    add("--noise_sigma", type=count, default=0, help="whole-number noise on the code indices in training (0)")
    add(
        "--cd_rand_res",
        type=int,
        choices=[0, 1],
        default=0,
        help="1: restart unused codes at the end of each epoch (0)",
    )
    return parser


def gpt_flags() -> argparse.ArgumentParser:
    """GPT_train.py: the class-conditional GPT."""
    parser = _parser("GPT_train.py", "Train, evaluate and test the class-conditional GPT.")
    _add_listening(parser, logging_frequency=200)
    parser.add_argument("--workers", type=positive, default=1, help="threads that prepare the corpus (1)")
    parser.add_argument(
        "--test_interpolation", type=int, choices=[0, 1], default=0, help="taken and unused, as there"
    )
    return parser


def vae_flags() -> argparse.ArgumentParser:
    """GPT_VAE_train.py: the GPT-VAE."""
    parser = _parser("GPT_VAE_train.py", "Train, evaluate and test the GPT-VAE.")
    _add_listening(parser, logging_frequency=500)
    add = parser.add_argument
    add("--workers", type=positive, default=1, help="threads that prepare the corpus (1)")
    add("--gpus", type=positive, default=None, help="GPUs to use; default: one, where there is one")
    add("--num_nodes", type=positive, default=1, help="only 1 is possible (1)")
    add("--load_path", type=text_or_none, default=None, help="checkpoint whose encoder stage two begins with")
    add(
        "--test_interpolation",
        type=int,
        choices=[0, 1],
        default=0,
        help="1: sounds between two sounds, in TensorBoard",
    )
    add("--warm_up", type=count, default=10, help="epochs over which the weight of the KL term rises (10)")
    add("--kl_start", type=share, default=1.0, help="weight of the KL term at the start (1.0)")
    add("--beta", type=weight, default=1.0, help="0: a plain auto-encoder, else a VAE (1.0)")
    add(
        "--fb",
        type=int,
        default=0,
        choices=[0, 1, 2, 3],
        help="free bits: 0 none, 1 a clip, 2 a dimension, 3 a batch",
    )
    add("--target_kl", type=float, default=-1, help="KL in nats that the free bits leave free (-1)")
    return parser


def run(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], None],
    arguments: list[str] | None = None,
) -> int:
    """Parse and work: 0 for success, 2 with one line for what the user can mend."""
    allow_any_script()
    args = parser.parse_args(arguments)
    if not (args.train or args.eval or args.test):
        return complain("nothing to do: give --train 1, --eval 1 or --test 1")
    with stopped_by_signals():
        return _run(work, args)


def _run(work: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> int:
    try:
        with kept_pages():
            work(args)
    except KeyboardInterrupt as stopped:
        return complain(str(stopped) or "stopped before training began; run the same command again")
    except (UserError, FileNotFoundError) as error:
        return complain(str(error))
    except BrokenPipeError:
        # Whoever read the output has gone; Python's own flush at exit must not complain again.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 1
    except OSError as error:
        if (message := disk_message(error)) is None:
            raise
        return complain(message)
    return 0


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = OneLineParser(prog=name, description=description)
    add = parser.add_argument
    add("--dataset", required=True, help="vas, vggsound, or a folder of sounds; data/DATASET is read")
    add("--experiment", required=True, help="name; everything is written to lightning_logs/EXPERIMENT")
    add("--train", type=int, choices=[0, 1], default=0, help="1: train (0)")
    add("--resume", type=text_or_none, default=None, help="checkpoint to go on from, or to evaluate (None)")
    add("--eval", type=int, choices=[0, 1], default=0, help="1: measure on the validation split (0)")
    add(
        "--test",
        type=int,
        choices=[0, 1],
        default=0,
        help="1: write a model folder, and sounds: a codec's of validation clips, else new ones (0)",
    )
    return parser


def _add_listening(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    add = parser.add_argument
    add(
        "--logging_frequency",
        type=count,
        help=f"batches between sounds and pictures ({defaults['logging_frequency']})",
    )
    add(
        "--reconstruct_spec",
        type=text_or_none,
        default=None,
        help="the codec: its checkpoint or model folder",
    )
    add("--vocoder", type=text_or_none, default=None, help="folder of a MelGAN (best_netG.pt, args.yml)")
    parser.set_defaults(**defaults)


def path_or_none(text: str | None) -> Path | None:
    """A flag's path."""
    return None if text is None else Path(text)
