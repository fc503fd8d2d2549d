"""Sounds between two sounds, and new ones from the VAE, in a folder that need not have a prior."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import melgpt
from conftest import melgpt as command
from melgpt.audio.io import read
from melgpt.cli import main
from melgpt.errors import UserError
from melgpt.model_folder import vae_warnings
from melgpt.pipeline import SoundModel


@pytest.fixture(scope="module")
def model(with_vae: Path) -> SoundModel:
    return melgpt.load(with_vae)


@pytest.fixture(scope="module")
def ends(corpus: Path) -> list[Path]:
    return [corpus / label / f"{label}_0001.wav" for label in ("dog", "drum")]


def test_interpolate_writes_every_step_and_a_sheet(with_vae: Path, ends: list[Path], tmp_path: Path) -> None:
    done = command("interpolate", with_vae, *ends, "--steps", 3, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    names = [f"dog_0001_to_drum_0001_{i:02d}" for i in range(3)]
    assert done.stdout.split() == [str(tmp_path / f"{name}.wav") for name in names]
    files = {f"{n}.{s}" for n in names for s in ("json", "png", "wav")} | {"dog_0001_to_drum_0001.png"}
    assert {p.name for p in tmp_path.iterdir()} == files
    how = json.loads((tmp_path / f"{names[1]}.json").read_text())
    assert (how["source"], how["share"], how["label"]) == ("vae", 0.5, "50%")
    assert how["model"]["vae"] == melgpt.checkpoint.describe(with_vae / "vae.safetensors").fingerprint


def test_generate_from_the_vae_needs_no_prior(with_vae: Path, tmp_path: Path) -> None:
    done = command(
        "generate", with_vae, "--from", "vae", "-n", 3, "--seconds", 0.5, "--seed", 2, "--out", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert {p.name for p in tmp_path.glob("*.wav")} == {f"vae_seed2_{i:03d}.wav" for i in range(3)}
    assert soundfile.info(tmp_path / "vae_seed2_000.wav").frames == 11025
    sounds = [read(p).samples.numpy() for p in sorted(tmp_path.glob("*.wav"))]
    assert not np.array_equal(sounds[0], sounds[1])


def test_the_ends_are_what_the_vae_remembers_of_the_sounds(model: SoundModel, ends: list[Path]) -> None:
    dog, drum = (read(file) for file in ends)
    there, back = model.interpolate(dog, drum, steps=3), model.interpolate(drum, dog, steps=3)
    for one, other in zip(there, back[::-1], strict=True):
        assert torch.equal(one.codes.grid, other.codes.grid)
    same = model.interpolate(dog, dog, steps=2)
    assert torch.equal(same[0].codes.grid, there[0].codes.grid)
    assert torch.equal(same[1].codes.grid, there[0].codes.grid)


def test_the_length_goes_from_the_one_to_the_other(model: SoundModel) -> None:
    short, long = (melgpt.Audio(torch.rand(1, n) - 0.5, 22050) for n in (4410, 13230))
    lengths = [sound.audio.samples.shape[-1] for sound in model.interpolate(short, long, steps=3)]
    assert lengths == [4410, 8820, 13230]
    endless = melgpt.Audio(torch.rand(1, 100_000) - 0.5, 22050)
    assert model.interpolate(endless, endless, steps=2)[0].audio.seconds < 2


def test_a_sound_from_the_vae_does_not_depend_on_how_many_are_made(model: SoundModel) -> None:
    one, three = (model.generate_from_vae(n=n, seed=7) for n in (1, 3))
    assert torch.equal(one[0].codes.grid, three[0].codes.grid)
    assert not torch.equal(three[0].codes.grid, three[1].codes.grid)


def test_the_same_seed_gives_the_same_sound(model: SoundModel, ends: list[Path]) -> None:
    options = {"steps": 2, "temperature": 1.0}
    one, same, other = (
        model.interpolate(*map(read, ends), seed=seed, **options)[1].audio.samples for seed in (3, 3, 4)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["interpolate", "RUN", "A", "B", "--steps", 1, "--out", "x"], "must be at least 2, not 1"),
        (["interpolate", "BARE", "A", "B", "--out", "x"], "has no vae.safetensors"),
        (["generate", "BARE", "--from", "vae", "--out", "x"], "has no vae.safetensors"),
        (
            ["generate", "RUN", "--from", "vae", "--label", "dog", "--out", "x"],
            "the VAE knows neither classes",
        ),
        (["generate", "RUN", "--from", "vae", "--seconds", 99, "--out", "x"], "seconds must be at most"),
    ],
)
def test_a_mistake_gets_one_clear_line(
    arguments: list[object],
    words: str,
    with_vae: Path,
    trained: Path,
    ends: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = {"RUN": with_vae, "BARE": trained, "A": ends[0], "B": ends[1], "x": tmp_path / "x"}
    assert main([str(paths.get(str(word), word)) for word in arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_vae_of_another_codec_is_refused(with_vae: Path, tmp_path: Path) -> None:
    run = shutil.copytree(with_vae, tmp_path / "run", ignore=shutil.ignore_patterns("training", "data"))
    vae = melgpt.checkpoint.load(run / "vae.safetensors")
    melgpt.checkpoint.save(vae, run / "vae.safetensors", parents={"codec": "0123456789abcdef"})
    with pytest.raises(UserError, match="train the vae again"):
        melgpt.load(run)


def test_a_collapsed_vae_says_so_again(
    with_vae: Path, ends: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(with_vae, tmp_path / "run")
    file = run / "vae.safetensors"
    known = melgpt.checkpoint.describe(file)
    assert (
        known.notes["active_units"] == json.loads((run / "figures.json").read_text())["vae"]["active_units"]
    )
    part = melgpt.checkpoint.load(file, "vae")
    commands = [
        ["interpolate", str(run), *map(str, ends), "--steps", "2", "--out", str(tmp_path / "between")],
        ["generate", str(run), "--from", "vae", "--seconds", "0.2", "--out", str(tmp_path / "new")],
    ]
    for active, words in [(0, commands[0]), (0, commands[1]), (3, commands[1])]:
        notes = {**known.notes, "active_units": active}
        melgpt.checkpoint.save(part, file, parents=known.parents, notes=notes)
        assert main(words) == 0
        assert ("vae: z says nothing about its sound" in capsys.readouterr().err) == (active == 0)


def test_a_vae_from_before_the_note_is_known_by_its_figures(tmp_path: Path, with_vae: Path) -> None:
    part = melgpt.checkpoint.load(with_vae / "vae.safetensors", "vae")
    melgpt.checkpoint.save(part, tmp_path / "vae.safetensors")
    assert vae_warnings(tmp_path) == []
    (tmp_path / "figures.json").write_text('{"seconds": {}, "vae": {"active_units": 0}}')
    assert len(vae_warnings(tmp_path)) == 1
