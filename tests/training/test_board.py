"""TensorBoard's files of a run that was killed and went on read as those of an undisturbed one."""

import shutil
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import MICRO
from melgpt.codec.decoder import Decoder
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.training.fit import Run
from melgpt.training.recipe import Recipe
from melgpt.training.stage import Stage

STEPS = [f"train.codec.{each}" for each in ("steps=24", "validate_every=12", "batch=1", "valid_clips=1")]


def _train(out: Path, data: Path) -> None:
    Run(out, Recipe.read(str(MICRO), STEPS)).train_codec(Store.open(data))


def _board(out: Path, stage: str = "codec") -> EventAccumulator:
    board = EventAccumulator(str(out / "training" / stage), {"images": 0, "audio": 0, "scalars": 0})
    board.Reload()
    return board


def test_curves_do_not_turn_back_and_pictures_stand_at_their_steps(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, finish = 0, Decoder.finish

    def broken(self: Decoder, h: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += self.training
        return finish(self, h) * (torch.nan if self.training and calls > 22 else 1)

    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "finish", broken)
        with pytest.raises(UserError, match="step 22"):
            _train(tmp_path, trained / "data")
    assert [x.step for x in _board(tmp_path).Scalars("train/l1")] == [9, 19]
    _train(tmp_path, trained / "data")

    board = _board(tmp_path)
    assert [x.step for x in board.Scalars("train/l1")] == [9, 19]
    validated = [11, 23]
    assert [x.step for x in board.Scalars("val/l1")] == validated
    assert [x.step for x in board.Images("picture 0/reconstruction")] == validated
    assert [x.step for x in board.Audio("sound 0/reconstruction")] == validated
    assert [x.step for x in board.Images("picture 0/original")] == [11]


def test_a_run_without_a_checkpoint_begins_its_curves_anew(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "codec.safetensors", tmp_path)
    run = Run(tmp_path, Recipe.read(str(MICRO), ["train.prior.steps=20"]))
    run.train_prior(Store.open(trained / "data"))
    for name in ("training/prior/last.ckpt", "training/prior/best.ckpt", "prior.safetensors"):
        (tmp_path / name).unlink()
    run.train_prior(Store.open(trained / "data"))
    assert [x.step for x in _board(tmp_path, "prior").Scalars("train/bits")] == [9, 19]


def test_whoever_trains_a_stage_removes_what_killed_saves_left(tmp_path: Path) -> None:
    stage = Stage("codec", tmp_path / "codec", {"data": "f00"})
    orphans = [stage.folder / f".{name}" for name in ("last-a1b2c3d4.ckpt", "best-________.ckpt")]
    for orphan in orphans:
        orphan.touch()
    kept = shutil.copy(stage.folder / "stage.json", stage.folder / ".notes.json")
    Stage("codec", tmp_path / "codec", {"data": "f00"})
    assert not any(orphan.exists() for orphan in orphans)
    assert kept.exists()
