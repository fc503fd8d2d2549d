"""The originals' flags: names, types and defaults as they document them, and no torch for --help."""

import argparse
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from melgpt.compat.flags import codec_flags, gpt_flags, run, vae_flags

ROOT = Path(__file__).resolve().parents[2]
CODEC = {
    "batch_size": 3,
    "embedding_dim": 256,
    "num_embeddings": 128,
    "learning_rate": 1e-6,
    "epochs": 100,
    "train": 0,
    "resume": None,
    "workers": 4,
    "eval": 0,
    "test": 0,
    "disc_conditional": False,
    "disc_in_channels": 1,
    "disc_start": 2001,
    "disc_weight": 0.8,
    "codebook_weight": 1.0,
    "min_adapt_weight": 0.0,
    "max_adapt_weight": 1.0,
    "noise_sigma": 0,
    "cd_rand_res": 0,
}
GPT = {"train", "resume", "workers", "eval", "test", "logging_frequency", "reconstruct_spec", "vocoder"}
VAE = GPT | {
    "gpus",
    "num_nodes",
    "load_path",
    "test_interpolation",
    "warm_up",
    "kl_start",
    "beta",
    "fb",
    "target_kl",
}


def _defaults(parser: argparse.ArgumentParser) -> dict[str, object]:
    args = vars(parser.parse_args(["--dataset", "vas", "--experiment", "x"]))
    assert (args.pop("dataset"), args.pop("experiment")) == ("vas", "x")
    return args


def test_the_codec_has_the_seeds_flags_and_no_others() -> None:
    assert _defaults(codec_flags()) == CODEC


def test_the_transformers_have_theirs() -> None:
    assert set(_defaults(gpt_flags())) >= GPT
    assert set(_defaults(vae_flags())) >= VAE
    assert _defaults(vae_flags())["kl_start"] == 1.0


@pytest.mark.parametrize("text", ["None", ""])
def test_none_is_written_as_text(text: str) -> None:
    assert codec_flags().parse_args(["--dataset", "a", "--experiment", "b", "--resume", text]).resume is None


def test_false_is_false() -> None:
    """With type=bool, which the original has, the text False is true."""
    words = ["--dataset", "a", "--experiment", "b", "--disc_conditional", "False"]
    assert codec_flags().parse_args(words).disc_conditional is False


def test_a_noise_that_is_no_whole_number_is_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        codec_flags().parse_args(["--dataset", "a", "--experiment", "b", "--noise_sigma", "0.5"])
    assert stopped.value.code == 2
    assert "noise_sigma" in capsys.readouterr().err


def test_nothing_to_do_is_said(capsys: pytest.CaptureFixture) -> None:
    assert run(codec_flags(), lambda args: None, ["--dataset", "a", "--experiment", "b"]) == 2
    assert "--train 1" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["train.py", "GPT_train.py", "GPT_VAE_train.py"])
def test_help_needs_no_torch(script: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('help must not import torch')\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / script), "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--experiment" in done.stdout


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        *((flag, "0", "from 1 on") for flag in ("--batch_size", "--epochs", "--num_embeddings", "--workers")),
        ("--learning_rate", "nan", "above 0"),
        ("--learning_rate", "-1", "above 0"),
        ("--disc_weight", "-1", "from 0 on"),
        ("--disc_start", "-5", "from 0 on"),
        ("--train", "2", "invalid choice"),
    ],
)
def test_numbers_that_cannot_be_are_refused_at_once(
    flag: str, value: str, words: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        codec_flags().parse_args(["--dataset", "a", "--experiment", "b", flag, value])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_a_full_disk_is_one_line(capsys: pytest.CaptureFixture) -> None:
    def full(args: argparse.Namespace) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    assert run(codec_flags(), full, ["--dataset", "a", "--experiment", "b", "--train", "1"]) == 2
    assert "the disk is full" in capsys.readouterr().err
