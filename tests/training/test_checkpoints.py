"""A damaged last checkpoint costs the way from the best one, no more; moved folders keep their best one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conftest import MICRO
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.training.checkpoint_io import AtomicCheckpointIO
from melgpt.training.checkpoints import Checkpoints
from melgpt.training.fit import Run
from melgpt.training.recipe import Recipe


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _zeros_within(content: bytes) -> bytes:
    """What a machine that lost its power may leave: the end is there, a block is not."""
    middle = len(content) // 2
    return content[:middle] + bytes(4096) + content[middle + 4096 :]


@pytest.mark.parametrize("damage", [_cut, _zeros_within, lambda _: b"", lambda _: b"no checkpoint"])
def test_the_best_checkpoint_takes_the_place_of_a_damaged_last_one(
    damage: Callable[[bytes], bytes], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "prior.safetensors").unlink()
    last = run / "training/prior/last.ckpt"
    last.write_bytes(damage(last.read_bytes()))
    Run(run, Recipe.read(str(run / "recipe.toml"))).train_prior(Store.open(run / "data"))
    said = capsys.readouterr().err
    assert f"prior: {last} was damaged, so best.ckpt takes its place" in said
    assert "weights_only" not in said
    assert (run / "prior.safetensors").read_bytes() == (trained / "prior.safetensors").read_bytes()


def test_the_way_from_the_best_checkpoint_is_gone_again(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "codec.safetensors").unlink()
    last, best = (run / "training/codec" / name for name in ("last.ckpt", "best.ckpt"))
    # The best one of the first epoch, as it was written then.
    short = Recipe.read(str(MICRO), ["train.codec.last_rate=1", "train.codec.steps=4"])
    whole = short.changed(train={**short.train.plain(), "codec": {**short.train.codec.plain(), "steps": 8}})
    shutil.rmtree(last.parent)
    Run(run, short).train_codec(Store.open(run / "data"))
    begun = best.read_bytes()
    Run(run, whole).train_codec(Store.open(run / "data"))
    wanted = (run / "codec.safetensors").read_bytes()
    (run / "codec.safetensors").unlink()
    best.write_bytes(begun)
    last.unlink()
    Run(run, whole).train_codec(Store.open(run / "data"))
    assert (run / "codec.safetensors").read_bytes() == wanted


def test_without_a_whole_checkpoint_one_line_says_what_to_do(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "prior.safetensors").unlink()
    for name in ("last.ckpt", "best.ckpt"):
        (run / "training/prior" / name).write_bytes(b"PK")
    with pytest.raises(UserError) as caught:
        Run(run, Recipe.read(str(run / "recipe.toml"))).train_prior(Store.open(run / "data"))
    assert "no whole best.ckpt beside it: delete" in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_best_one_is_named_with_both_ways_out(tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"copy last\.ckpt to its place to keep those weights, or delete"):
        Checkpoints(tmp_path).read("best.ckpt")


def test_a_moved_folder_still_has_its_best_checkpoint(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    state = {
        "dirpath": str(old),
        "best_model_path": str(old / "best.ckpt"),
        "best_k_models": {str(old / "best.ckpt"): torch.tensor(1.0)},
    }
    AtomicCheckpointIO().save_checkpoint({"callbacks": {"ModelCheckpoint{}": state}}, old / "last.ckpt")
    old.rename(new)
    moved = AtomicCheckpointIO().load_checkpoint(new / "last.ckpt")["callbacks"]["ModelCheckpoint{}"]
    assert moved["dirpath"] == str(new)
    assert list(moved["best_k_models"]) == [moved["best_model_path"]] == [str(new / "best.ckpt")]
