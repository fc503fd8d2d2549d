"""A handful of recordings is learnt to the end: one validation clip is no judge."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from conftest import MICRO, melgpt


def test_too_few_validation_clips_keep_the_last_weights(trained: Path, tmp_path: Path) -> None:
    for stage in ("codec", "prior"):
        options = ("--recipe", MICRO, "train.prior.least_valid=100", "train.prior.learning_rate=0.05")
        done = melgpt("train", stage, trained / "data", "--out", tmp_path, *options)
        assert done.returncode == 0, done.stderr
    assert "too few to stop by" in done.stderr
    saved = load_file(tmp_path / "prior.safetensors")
    last = torch.load(tmp_path / "training/prior/last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(tensor, last[f"prior.{name}"]) for name, tensor in saved.items())
