"""A run that was stopped and killed ends with the very weights of an undisturbed one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conftest import MICRO, melgpt
from melgpt.errors import UserError
from melgpt.paths import alone
from melgpt.training.stage import Stage


def _start(corpus: Path, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "melgpt", "fit", str(corpus), "--out", str(out), "--recipe", str(MICRO)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Whatever started the tests may ignore Ctrl-C (a shell does for what it puts into the background).
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _interrupt_when(process: subprocess.Popen[str], there: Callable[[], bool], how: signal.Signals) -> str:
    """Send a signal as soon as a condition holds; returns what the process said."""
    while not there() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(how)
    _, said = process.communicate()
    return said


def test_ctrl_c_and_a_kill_change_nothing(corpus: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "disturbed"

    process = _start(corpus, out)
    said = _interrupt_when(process, (out / "training/codec/last.ckpt").exists, signal.SIGINT)
    assert process.returncode == 2, said
    assert said.strip().splitlines()[-1].startswith("melgpt: stopped")
    assert "Traceback" not in said
    assert not (out / "codec.safetensors").exists(), "the run was over before it could be stopped"

    process = _start(corpus, out)
    _interrupt_when(process, (out / "training/prior/last.ckpt").exists, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "prior.safetensors").exists(), "the run was over before it could be killed"

    done = melgpt("fit", corpus, "--out", out, "--recipe", MICRO)
    assert done.returncode == 0, done.stderr
    assert "codec: already trained" in done.stderr
    assert "prior: going on from" in done.stderr
    for part in ("codec", "prior", "vocoder"):
        assert (out / f"{part}.safetensors").read_bytes() == (trained / f"{part}.safetensors").read_bytes()


def test_a_kill_behind_the_last_step_costs_nothing(corpus: Path, trained: Path, tmp_path: Path) -> None:
    out = shutil.copytree(trained, tmp_path / "run")
    for part in ("codec", "prior"):
        (out / f"{part}.safetensors").unlink()
    done = melgpt("fit", corpus, "--out", out, "--recipe", MICRO)
    assert done.returncode == 0, done.stderr
    for part in ("codec", "prior"):
        assert (out / f"{part}.safetensors").read_bytes() == (trained / f"{part}.safetensors").read_bytes()


def test_a_run_that_stopped_by_itself_does_not_go_on(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    stopping = ["train.prior.learning_rate=1e-12", "train.prior.patience=1", "train.prior.steps=40"]
    stage = ["train", "prior", run / "data", "--out", run, "train.prior.least_valid=1", *stopping]
    for _ in range(2):
        done = melgpt(*stage)
        assert done.returncode == 0, done.stderr
        last = torch.load(run / "training/prior/last.ckpt", weights_only=True)
        assert last["epoch"] < 9, "it was to stop before its end"
        (run / "prior.safetensors").unlink()
    assert "prior: trained before" not in done.stderr
    assert last["epoch"] == 1


def test_a_finished_run_is_not_repeated(corpus: Path, trained: Path) -> None:
    files = sorted(trained.glob("*.safetensors"))
    before = [file.stat().st_mtime_ns for file in files]
    done = melgpt("fit", corpus, "--out", trained, "--recipe", MICRO)
    assert done.returncode == 0, done.stderr
    assert [file.stat().st_mtime_ns for file in files] == before


def test_a_second_training_of_a_stage_waits_outside(tmp_path: Path) -> None:
    lock = tmp_path / "training" / ".codec.lock"
    lock.parent.mkdir()
    with alone(lock, "training of codec is going on"):
        for made_from in ({"data": 1}, {"data": 2}):
            with pytest.raises(UserError, match="another training of codec is going on here"):
                Stage("codec", tmp_path / "training" / "codec", made_from)
        assert not (tmp_path / "training" / "codec").exists()
    stage = Stage("codec", tmp_path / "training" / "codec", {"data": 1})
    assert not stage.resumes


def test_what_has_changed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "training" / "prior"
    made_from = {"data": "f00", "codec": {"kind": "a"}, "training": {"batch": 20, "betas": [0.9, 0.99]}}
    Stage("prior", folder, made_from)
    Stage("prior", folder, made_from)
    assert capsys.readouterr().err == ""
    (folder / "last.ckpt").touch()
    Stage("prior", folder, {**made_from, "training": {"batch": 1000, "betas": [0.9, 0.99]}})
    said = capsys.readouterr().err
    assert "prior: training.batch (20 → 1000) changed, so it is trained again; the old run is kept in" in said
    assert (tmp_path / "training" / "prior.before" / "last.ckpt").exists()
    (folder / "stage.json").write_text("{")
    Stage("prior", folder, made_from)
    assert "data or options changed" in capsys.readouterr().err
    Stage("prior", folder, {**made_from, "data": "f01"})
    assert "prior: the sounds changed, so it is trained again" in capsys.readouterr().err
    Stage("prior", folder, {**made_from, "data": "f01", "codec": {"kind": "b"}})
    assert 'codec.kind ("a" → "b") changed' in capsys.readouterr().err


def test_a_run_without_a_checkpoint_takes_no_place_of_one_that_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "training" / "prior"
    Stage("prior", folder, {"data": "f00"})
    (folder / "last.ckpt").write_text("hours of work")
    for data in ("f01", "f02"):
        Stage("prior", folder, {"data": data})
    assert (tmp_path / "training" / "prior.before" / "last.ckpt").read_text() == "hours of work"


def test_a_place_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="cannot write"),
        alone(tmp_path / "nowhere" / "lock", "training is going on"),
    ):
        pass
