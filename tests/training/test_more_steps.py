"""More steps go on from what was trained, for every stage; what does not depend on it stays."""

import shutil
from pathlib import Path

import pytest
import torch

from conftest import MICRO
from melgpt import checkpoint
from melgpt.data.store import Store
from melgpt.training.checkpoints import Done
from melgpt.training.fit import Run
from melgpt.training.fit_listeners import ListenerTraining
from melgpt.training.fit_vae import VAERun
from melgpt.training.recipe import Recipe
from melgpt.training.settings import StageTraining
from melgpt.training.stage import epochs, last_epoch

VOCODER = ["vocoder.kind=istft", "vocoder.width=16", "vocoder.hidden=16", "vocoder.layers=1"]
VOCODER += [
    f"train.vocoder.{each}" for each in ("batch=2", "crop_frames=16", "valid_clips=2", "validate_every=4")
]
PLAIN = ["train.vae.autoencoder_steps=0", "train.classifier.kinds=['listener_cnn']"]
RESULTS = {"classifier": "listeners/listener_cnn_0", **{n: n for n in ("codec", "vocoder", "prior", "vae")}}


def _train(stage: str, folder: Path, data: Path, **options: object) -> None:
    changes = [f"train.{stage}.{name}={value}" for name, value in options.items()]
    recipe, store = Recipe.read(str(MICRO), [*VOCODER, *PLAIN, *changes]), Store.open(data)
    if stage == "classifier":
        ListenerTraining(folder / "listeners", recipe.train.classifier, recipe.runtime).train_all(store)
    else:
        getattr(VAERun(folder, recipe), f"train_{stage}")(store)


def _folder(trained: Path, folder: Path) -> Path:
    """A model folder that has a codec."""
    folder.mkdir()
    shutil.copy(trained / "codec.safetensors", folder)
    shutil.copy(trained / "recipe.toml", folder)
    return folder


@pytest.mark.parametrize("stage", list(RESULTS))
def test_in_two_goes_as_in_one_where_the_learning_rate_stays(
    stage: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [_folder(trained, tmp_path / name) for name in ("twice", "once")]
    schedule = {"last_rate": 1, "warmup": 2, "validate_every": 4, "seeds": 1}
    if stage != "classifier":
        del schedule["seeds"]
    _train(stage, runs[0], trained / "data", steps=8, **schedule)
    capsys.readouterr()
    _train(stage, runs[0], trained / "data", steps=16, **schedule)
    said = capsys.readouterr().err
    assert "16 steps instead of 8\n" in said
    assert "going on from step 8 of 16" in said
    _train(stage, runs[1], trained / "data", steps=16, **schedule)
    files = [run / f"{RESULTS[stage]}.safetensors" for run in runs]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_learning_rate_of_the_longer_run_is_announced(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _folder(trained, tmp_path / "run")
    _train("prior", run, trained / "data", steps=8)
    _train("prior", run, trained / "data", steps=12)
    assert "is close to such a run, not equal to it" in capsys.readouterr().err


def test_fewer_steps_are_trained_again_and_the_old_run_is_kept(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _folder(trained, tmp_path / "run")
    _train("prior", run, trained / "data", steps=8)
    _train("prior", run, trained / "data", steps=4)
    assert "prior: training.steps (8 → 4) changed, so it is trained again; the old" in capsys.readouterr().err
    old, new = (
        torch.load(run / "training" / name / "last.ckpt", weights_only=True)["epoch"]
        for name in ("prior.before", "prior")
    )
    assert (old, new) == (1, 0)


def test_only_what_depends_on_it_is_trained_anew(
    corpus: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    before = {part: (run / f"{part}.safetensors").stat().st_mtime_ns for part in ("codec", "vocoder")}
    Run(run, Recipe.read(str(run / "recipe.toml"), ["train.prior.steps=16"])).fit(corpus)
    said = capsys.readouterr().err
    assert "codec: already trained" in said
    assert "prior: going on from step 12 of 16" in said
    assert {part: (run / f"{part}.safetensors").stat().st_mtime_ns for part in before} == before

    Run(run, Recipe.read(str(run / "recipe.toml"), ["train.codec.steps=16"])).fit(corpus)
    said = capsys.readouterr().err
    assert "codec: going on from step 12 of 16" in said
    assert "prior: the codec changed, so it is trained again" in said
    codec = checkpoint.describe(run / "codec.safetensors").fingerprint
    assert checkpoint.describe(run / "prior.safetensors").parents["codec"] == codec


def test_a_run_that_stopped_by_itself_says_that_more_steps_change_nothing(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _folder(trained, tmp_path / "run")
    options = {"learning_rate": 1e-12, "patience": 1, "least_valid": 1}
    for steps in (40, 80):
        _train("prior", run, trained / "data", steps=steps, **options)
    said = capsys.readouterr().err
    assert "prior: stopped at step 8, as nothing got better any more" in said
    assert said.count("prior: finished, best kept: step 4 of 8") == 2


def test_a_vocoder_that_would_learn_from_something_else_begins_anew(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _folder(trained, tmp_path / "run")
    _train("vocoder", run, trained / "data", steps=4, adversarial_start=6)
    _train("vocoder", run, trained / "data", steps=8, adversarial_start=6)
    assert "vocoder: training.steps (4 → 8) changed, so it is trained again" in capsys.readouterr().err


@pytest.mark.parametrize(("first", "then", "every"), [(10, 25, 4), (12, 1000, 200), (12, 13, 2), (3, 50, 7)])
def test_a_longer_run_ends_where_it_would_without_a_break(first: int, then: int, every: int) -> None:
    number, length = epochs(StageTraining(steps=first, validate_every=every))
    longer = StageTraining(steps=then, validate_every=every)
    done, step = Done(number, number * length), epochs(longer)[1]
    end = last_epoch(longer, done)
    assert done.steps + (end - done.epochs) * step >= then
    for epoch in range(done.epochs, end + 1):
        reached = Done(epoch, done.steps + (epoch - done.epochs) * step)
        assert last_epoch(longer, reached) == end


@pytest.mark.parametrize("every", [1, 2, 3, 7, 100])
def test_a_run_from_the_beginning_has_the_epochs_of_its_steps(every: int) -> None:
    for steps in range(1, 60):
        settings = StageTraining(steps=steps, validate_every=every)
        number, length = epochs(settings)
        ends = {last_epoch(settings, Done(epoch, epoch * length)) for epoch in range(number + 1)}
        assert ends == {number}
