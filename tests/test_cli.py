"""The command line: help is quick and needs no torch, errors are one line with exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import melgpt
from melgpt.cli import COMMANDS


def _without_torch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "torch.py").write_text("raise ImportError('help must not need torch')\n")
    return subprocess.run(
        [sys.executable, "-m", "melgpt", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=False,
    )


def test_help_lists_every_command_without_torch(tmp_path: Path) -> None:
    done = _without_torch(tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_needs_no_torch(command: str, tmp_path: Path) -> None:
    done = _without_torch(tmp_path, command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"melgpt {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fitt"], "did you mean 'fit'"),
        (["generate"], "--help"),
        (["train", "codek", "x", "--out", "y"], "codek"),
        (["options", "codec.quantiser"], "did you mean 'quantizer'"),
        (["options", "codec.quantizer", "fqs"], "did you mean 'fsq'"),
        (["options", "mel.rate.x"], "unknown part 'mel.rate.x' at 'x'"),
        (["options", "mel.presset"], "did you mean 'preset'"),
        (["options", "prior", "vqgan"], "unknown prior kind 'vqgan'; known: gpt"),
        (["options", "train.codec.discriminator", "sound"], "known: patchgan"),
        (["options", "mel", "wide"], "mel has no kinds; leave 'wide' out"),
        (["fit", "nowhere", "--out", "run", "--recipe", "tinny"], "did you mean 'tiny'"),
        (
            ["fit", "nowhere", "--out", "run", "--recipe", "tiny", "train.codec.stepps=3"],
            "did you mean 'steps'",
        ),
        (
            ["fit", "nowhere", "--out", "run", "--recipe", "tiny", "train.codec.steps=many"],
            "train.codec.steps",
        ),
        (
            ["fit", "nowhere", "--out", "run", "--recipe", "tiny", "codec.quantizer.kind=fsk"],
            "did you mean 'fsq'",
        ),
        (["generate", "nowhere", "--out", "new"], "no such model folder"),
    ],
)
def test_a_mistake_gets_one_clear_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "melgpt", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_options_show_kinds_defaults_and_meaning() -> None:
    assert "griffin_lim" in melgpt("options", "vocoder").stdout
    shown = melgpt("options", "codec.quantizer", "fsq", COLUMNS="200").stdout
    assert "levels" in shown
    assert "(8, 5, 5, 5)" in shown
    assert "size K of the codebook" in shown
    assert "codec.network.channels" in melgpt("options", "codec", COLUMNS="200").stdout
    every = melgpt("options", COLUMNS="200").stdout
    for name in ("mel.rate", "train.prior.steps", "codec.quantizer ", "runtime.threads"):
        assert f" {name}" in every
    assert "codec.mel.rate" not in every


def test_options_of_a_part_that_only_another_kind_has() -> None:
    shown = melgpt("options", "codec.quantizer.part", "simvq", COLUMNS="200").stdout
    assert "codec.quantizer.part.commitment" in shown
    assert "unknown part 'train.codec.steps.x' at 'x'" in melgpt("options", "train.codec.steps.x").stderr


def test_options_list_the_mel_preset_and_a_recipes_own_values() -> None:
    for part in ("", "mel", "mel.preset"):
        shown = melgpt("options", *([part] if part else []), COLUMNS="250").stdout
        assert "mel.preset" in shown
        assert "wide (0 to 22050 Hz)" in shown
    tiny = melgpt("options", "--recipe", "tiny", COLUMNS="250").stdout
    row = next(line for line in tiny.splitlines() if "train.codec.steps" in line)
    assert "1000" in row
    assert "in tiny" in tiny
    quantizer = melgpt("options", "codec.quantizer", "--recipe", "tiny", COLUMNS="250").stdout
    assert "kinds of codec.quantizer" in quantizer
    assert "(8, 5, 5, 5)" in quantizer
    assert "0.0003" in melgpt("options", "train.prior.learning_rate", COLUMNS="250").stdout


def test_a_reader_that_goes_away_is_no_fault() -> None:
    """`melgpt --help | true`, with the reader gone before anything is written."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "melgpt", "--help"], stdout=write_end, stderr=subprocess.PIPE, check=False
    )
    os.close(write_end)
    assert done.stderr == b""
