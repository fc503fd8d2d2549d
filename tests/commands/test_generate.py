"""What `generate` is asked for: classes in one option, formats of the files, and one line for each mishap."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import melgpt
from conftest import melgpt as command
from melgpt import Audio, checkpoint
from melgpt.arguments import command_line
from melgpt.cli import main
from melgpt.commands.generate import file_name, save_sounds

Said = pytest.CaptureFixture[str]
ASCII = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def odd(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model with class names that are hard to write down."""
    names = ("dog", "bark, loud", "dog, small", "hündin", "x" * 200, "a$b$ `c` \"d\" 'e'", "犬" * 60, "-n")
    folder = tmp_path_factory.mktemp("odd")
    for part in ("codec", "vocoder"):
        (folder / f"{part}.safetensors").symlink_to(trained / f"{part}.safetensors")
    prior = checkpoint.load(trained / "prior.safetensors", "prior")
    prior.config = prior.config.changed(labels=names)
    codec = checkpoint.describe(trained / "codec.safetensors").fingerprint
    checkpoint.save(prior, folder / "prior.safetensors", parents={"codec": codec})
    return folder


def _generate(model: Path, out: Path, *options: object) -> int:
    return main(["generate", str(model), "--seconds", "0.3", "--out", str(out), *map(str, options)])


def _made(folder: Path, suffix: str = "wav") -> list[str]:
    return sorted(path.name.split("_seed")[0] for path in folder.glob(f"*.{suffix}"))


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (["dog,hündin"], ["dog", "hündin"]),
        (["dog, small"], ["dog_ small"]),
        (["bark, loud,dog, small,dog"], ["bark_ loud", "dog", "dog_ small"]),
        (["dog", "dog", "dog,DOG"], ["dog"]),
        (["-n"], ["-n"]),
    ],
)
def test_one_option_names_several_classes_and_none_is_made_twice(
    odd: Path, asked: list[str], made: list[str], tmp_path: Path, capsys: Said
) -> None:
    assert _generate(odd, tmp_path, *[f"--label={each}" for each in asked]) == 0
    found = [name.rsplit("-", 1)[0] if "_ " in name else name for name in _made(tmp_path)]
    assert found == made
    assert len(capsys.readouterr().out.splitlines()) == len(made), "each is listed once"


def test_an_unknown_one_among_several_is_named(odd: Path, tmp_path: Path, capsys: Said) -> None:
    assert _generate(odd, tmp_path / "new", "--label", "dog,hundin") == 2
    assert "unknown label 'hundin'; did you mean 'hündin'?" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_every_name_makes_files_and_no_words(odd: Path, tmp_path: Path, capsys: Said) -> None:
    assert _generate(odd, tmp_path) == 0
    assert len(_made(tmp_path)) == len(_made(tmp_path, "png")) == 8
    assert capsys.readouterr().err == ""
    assert max(len(os.fsencode(path.name)) for path in tmp_path.iterdir()) < 200


def test_two_long_names_fit_into_the_name_of_a_file() -> None:
    both = f"{file_name('ß' * 300)}_{file_name('犬' * 300)}_seed{2**63}_000.json"
    assert len(f".{both}-12345678".encode()) <= 255


def test_a_terminal_of_ascii_gets_no_traceback(odd: Path, tmp_path: Path) -> None:
    options = ["--label", "hündin,dog", "--seconds", 0.3, "--out", tmp_path]
    done = command("generate", odd, *options, **ASCII)
    assert (done.returncode, done.stderr) == (0, "")
    assert _made(tmp_path) == ["dog", "hündin"]
    done = command("generate", odd, "--label", "hündinn", "--out", tmp_path, **ASCII)
    assert done.returncode == 2
    assert done.stderr.startswith("melgpt: unknown label 'h\\xfcndinn'; did you mean 'h\\xfcndin'?")


def test_names_that_its_encoding_lacks_are_one_line(trained: Path, corpus: Path, tmp_path: Path) -> None:
    sound = next((corpus / "dog").iterdir())
    code = "import sys; from melgpt.cli import main; main([*sys.argv[2:], sys.argv[1] + '/\\xfc.wav'])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "reconstruct", str(trained), str(sound)],
        capture_output=True,
        text=True,
        env={**os.environ, **ASCII},
        check=False,
    )
    assert done.stderr == (
        "melgpt: a file's name has letters that this terminal's encoding lacks: set PYTHONUTF8=1\n"
    )


@pytest.mark.parametrize("length", [0.3, 61])
def test_files_are_written_as_asked_for(trained: Path, tmp_path: Path, length: float) -> None:
    options = ["--rate", 44100, "--format", "flac", "--bits", 24, "--normalize", "--seconds", length]
    assert _generate(trained, tmp_path, "--label", "dog", *options) == 0
    path = tmp_path / "dog_seed0_000.flac"
    info = soundfile.info(path)
    assert (info.samplerate, info.subtype, info.frames) == (44100, "PCM_24", round(length * 44100))
    peak = 20 * np.log10(np.abs(soundfile.read(path)[0]).max())
    assert peak == pytest.approx(-1, abs=0.01)
    output = json.loads(path.with_suffix(".json").read_text())["output"]
    wanted = {"format": "flac", "rate": 44100, "bits": "24", "normalize": True, "peak_dbfs": -1.0}
    assert output.items() >= wanted.items()
    assert output["gain_db"] != 0
    assert {file.suffix for file in tmp_path.iterdir()} == {".flac", ".json", ".png"}


def test_the_plain_file_has_sixteen_bits_and_the_rate_of_the_model(trained: Path, tmp_path: Path) -> None:
    assert _generate(trained, tmp_path, "--label", "dog") == 0
    (path,) = tmp_path.glob("*.json")
    how = json.loads(path.read_text())
    plain = {"format": "wav", "rate": 22050, "bits": "16", "normalize": False, "gain_db": 0.0}
    assert how["output"].items() >= plain.items()
    keys = {"device", "processor", "precision", "prior_weights", "kernels", "compile", "threads", "torch"}
    assert set(how["computed"]) == keys
    assert how["computed"]["torch"] == torch.__version__
    assert how["melgpt"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "flac", "--bits", "32f"], "FLAC takes bits 16 or 24 (given: 32f)"),
        (["--format", "ogg", "--bits", "24"], "OGG has no bits: leave them out (given: 24)"),
        (["--format", "mp3"], "mp3"),
        (["--bits", "8"], "8"),
        (["--rate", "500000"], "rate"),
        (["--seconds", "1000000", "--label", "dog"], "a WAV file holds up to"),
    ],
)
def test_a_format_that_cannot_be_is_refused_first(
    trained: Path, options: list[str], words: str, tmp_path: Path, capsys: Said
) -> None:
    try:
        code: object = _generate(trained, tmp_path / "new", *options)
    except SystemExit as end:  # as an option that the parser itself refuses
        code = end.code
    assert code == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("switch", "kernels"), [("off", "none"), ("auto", "c")])
def test_the_json_says_what_computed_it(
    trained: Path, switch: str, kernels: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kernels == "c":
        request.getfixturevalue("kernels")
    assert _generate(trained, tmp_path, "--label", "dog", "--compile", switch, "--precision", "fp32") == 0
    (path,) = tmp_path.glob("*.json")
    computed = json.loads(path.read_text())["computed"]
    assert (computed["kernels"], computed["compile"]) == (kernels, switch)
    assert (computed["precision"], computed["prior_weights"]) == ("fp32", "fp32")


def test_nearly_silent_sounds_are_counted_in_a_line(trained: Path, tmp_path: Path, capsys: Said) -> None:
    loud, *others = melgpt.load(trained).generate(label="dog", n=3, seconds=0.3)
    quiet = [replace(each, audio=Audio(1e-4 * each.audio.samples, each.audio.rate)) for each in others]
    sounds = [loud, *quiet]
    paths = save_sounds(sounds, tmp_path)
    assert f"2 of 3 nearly silent (peak below -50 dBFS), first {paths[1]}\n" == capsys.readouterr().err


def test_no_place_for_temporary_files_is_told_before_anything_is_made(trained: Path, tmp_path: Path) -> None:
    code = "import sys, tempfile; tempfile._candidate_tempdir_list = lambda: ['/proc/none']\n"
    code += "from melgpt.cli import main; sys.exit(main(sys.argv[1:]))"
    closed = {"MPLCONFIGDIR": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "TMPDIR": "/proc/none"}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "generate",
            str(trained),
            "--label",
            "dog",
            "--out",
            str(tmp_path / "new"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **closed},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("melgpt: no folder for temporary files can be written, set TMPDIR to one")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("label", ["dog", "a b", "x\" $HOME `id` 'y' \\", "-n"])
def test_a_command_that_is_printed_can_be_pasted(label: str) -> None:
    line = command_line("generate", Path("my runs"), f"--label={label}")
    assert shlex.split(line) == ["melgpt", "generate", "my runs", f"--label={label}"]
    shown = subprocess.run(
        ["sh", "-c", f'set -- {line}; printf %s "$4"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"--label={label}"
