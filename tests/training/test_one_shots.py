"""Clicks of 20 to 80 ms, most shorter than a window of the mel, go through every stage."""

import json
from pathlib import Path

import pytest
import soundfile

import melgpt
from conftest import MICRO
from conftest import melgpt as command
from made_sounds import RATE, save, sound
from melgpt.audio.io import read

LENGTHS = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08)
STEPS = {
    "codec": "steps=8 discriminator.layers=3",
    "vocoder": "steps=4 codec_steps=2 batch=2",
    "prior": "steps=4",
}


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clicks")
    for number, seconds in enumerate((*LENGTHS, *LENGTHS)):
        label = "tock" if number < len(LENGTHS) else "tick"
        save(folder / label / f"{number}.wav", sound(number, seconds), RATE)
    return folder


@pytest.fixture(scope="module")
def run(clicks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the clicks, with a vocoder that learns and a VAE."""
    folder = tmp_path_factory.mktemp("run") / "run"
    steps = [f"train.{stage}.{each}" for stage, options in STEPS.items() for each in options.split()]
    vocoder = [f"vocoder.{each}" for each in ("kind=istft", "width=16", "hidden=16", "layers=1", "refine=2")]
    done = command("fit", clicks, "--out", folder, "--recipe", MICRO, *steps, *vocoder)
    assert done.returncode == 0, done.stderr
    assert "12 clips, 1 s, 2 classes" in done.stderr
    assert "left out" not in done.stderr
    vae = command("train", "vae", folder / "data", "--out", folder, "train.vae.steps=2")
    assert vae.returncode == 0, vae.stderr
    return folder


def test_new_ones_are_at_most_a_token_column_longer(run: Path) -> None:
    model = melgpt.load(run)
    assert model.prior.config.columns == 1
    for label in model.labels:
        for new in model.generate(label=label, n=8):
            assert new.audio.seconds <= max(LENGTHS) + model.max_seconds
    first, last = (read(run.parent / f"{name}.wav") for name in _saved(run))
    between = model.interpolate(first, last, steps=3)
    assert [each.audio.samples.shape[-1] for each in between] == [441, 1102, 1764]


def _saved(run: Path) -> tuple[str, str]:
    for name, seconds in (("short", 0.02), ("longer", 0.08)):
        save(run.parent / f"{name}.wav", sound(1, seconds), RATE)
    return "short", "longer"


def test_they_are_evaluated(run: Path, tmp_path: Path) -> None:
    done = command("evaluate", run, run / "data", "-n", 2, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report/report.json").read_text())
    real = {step["stage"]: step["measures"] for step in report["ladder"]}
    assert 0 < real["codec + vocoder"]["stft"]["value"] < float("inf")


def test_a_library_of_one_shots_is_taken_whole(one_shots: Path, tmp_path: Path) -> None:
    from melgpt.data.config import DataConfig
    from melgpt.data.prepare import prepare
    from melgpt.types import MelScale

    result = prepare(one_shots, tmp_path / "data", DataConfig(), MelScale())
    assert "too short" not in result.reasons()
    assert result.files_left_out == 0
    shortest = min(soundfile.info(file).duration for file in one_shots.rglob("*.flac"))
    assert shortest < 0.02
