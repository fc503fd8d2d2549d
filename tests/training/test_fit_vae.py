"""The stage `vae`: two stages by itself, resumable, on the codes of the codec in the folder."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from conftest import MICRO, melgpt
from melgpt import checkpoint
from melgpt.errors import UserError
from melgpt.training.recipe import Recipe
from melgpt.training.sequences import collate_whole


def test_the_vae_knows_what_it_was_trained_on(with_vae: Path) -> None:
    vae = checkpoint.describe(with_vae / "vae.safetensors")
    codec = checkpoint.describe(with_vae / "codec.safetensors")
    assert vae.parents["codec"] == codec.fingerprint
    assert vae.parents["data"] == codec.parents["data"]
    part = checkpoint.load(with_vae / "vae.safetensors", "vae")
    assert part.config.codebook == 16
    assert Recipe.read(str(with_vae / "recipe.toml")).vae == part.config
    assert "| VAE: validation bits a token, told z |" in (with_vae / "README.md").read_text()


def test_a_plain_auto_encoder_comes_first_and_hands_over_its_encoder(with_vae: Path) -> None:
    first = torch.load(with_vae / "training/vae_autoencoder/last.ckpt", weights_only=True)
    second = torch.load(with_vae / "training/vae/last.ckpt", weights_only=True)
    assert (first["epoch"], second["epoch"]) == (1, 2), "two epochs of four steps, then three"
    kept = checkpoint.load(with_vae / "training/vae_autoencoder/vae.safetensors", "vae")
    begun = first["state_dict"]["vae.encoder.tokens.weight"]
    assert torch.equal(kept.encoder.tokens.weight, begun)


def test_the_board_shows_the_annealing(with_vae: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(with_vae / "training/vae"))
    board.Reload()
    wanted = {"train/loss", "train/reconstruction", "train/kl", "train/counted_kl", "train/kl_weight"}
    wanted |= {"val/loss", "val/reconstruction_bits", "val/kl"}
    assert wanted <= set(board.Tags()["scalars"])


def test_what_is_finished_is_not_trained_again(with_vae: Path, tmp_path: Path) -> None:
    run = shutil.copytree(with_vae, tmp_path / "run")
    done = melgpt("train", "vae", run / "data", "--out", run)
    assert "vae: already trained" in done.stderr
    assert (run / "vae.safetensors").read_bytes() == (with_vae / "vae.safetensors").read_bytes()
    # The first stage does not depend on what decides the second alone.
    done = melgpt("train", "vae", run / "data", "--out", run, "train.vae.target_kl=1", "train.vae.steps=4")
    assert done.returncode == 0, done.stderr
    assert "plain auto-encoder" not in done.stderr
    assert (run / "vae.safetensors").read_bytes() != (with_vae / "vae.safetensors").read_bytes()


def test_the_auto_encoder_can_be_left_out(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    changes = ["train.vae.autoencoder_steps=0", "train.vae.steps=2", "train.vae.beta=0"]
    done = melgpt("train", "vae", run / "data", "--out", run, *changes)
    assert done.returncode == 0, done.stderr
    assert (run / "vae.safetensors").is_file()
    assert not (run / "training/vae_autoencoder").exists()


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(with_vae: Path, tmp_path: Path) -> None:
    run = shutil.copytree(with_vae, tmp_path / "run")
    (run / "vae.safetensors").unlink()
    shutil.rmtree(run / "training/vae")
    shutil.rmtree(run / "training/vae_autoencoder")
    command = [sys.executable, "-m", "melgpt", "train", "vae", str(run / "data"), "--out", str(run)]
    for stage in ("vae_autoencoder", "vae"):
        # On one thread, as the run that it is held against: more add up in another order.
        process = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        while not (run / "training" / stage / "last.ckpt").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (run / "vae.safetensors").exists(), "the run was over before it could be killed"
    done = melgpt("train", "vae", run / "data", "--out", run)
    assert done.returncode == 0, done.stderr
    assert (run / "vae.safetensors").read_bytes() == (with_vae / "vae.safetensors").read_bytes()


def test_short_sounds_are_followed_by_silence_in_a_batch() -> None:
    batch = [(torch.tensor([1, 2]), 0), (torch.tensor([3, 4, 5, 6]), 1)]
    tokens = collate_whole(batch, silence=torch.tensor([8, 9]), length=4)
    assert tokens.tolist() == [[1, 2, 8, 9], [3, 4, 5, 6]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.vae.free_bits=4", "train.vae.free_bits"),
        ("train.vae.kl_start=1.5", "train.vae.kl_start"),
        ("vae.encoder.width=64", "encoder.width and decoder.width must be equal, not 64 and 32"),
    ],
)
def test_options_that_do_not_fit_are_named(change: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Recipe.read(str(MICRO), [change])
