"""What a user can get wrong: one clear line, exit code 2, nothing lost."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import MICRO, melgpt


def _fails(words: str, *arguments: object) -> str:
    done = melgpt(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("melgpt: ")
    assert words in last, last
    return last


def _tone(path: Path, seconds: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(22050 * seconds)) / 22050
    soundfile.write(path, 0.3 * np.sin(440 * 2 * np.pi * time), 22050)
    return path


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    _fails("no sound", "fit", tmp_path / "sounds", "--out", tmp_path / "run", "--recipe", MICRO)
    assert not (tmp_path / "run").exists()


def test_no_readable_file(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "sounds" / "dog").mkdir(parents=True, exist_ok=True)
        (tmp_path / "sounds" / "dog" / f"{name}.wav").write_text("no sound at all")
    _fails("a.wav", "fit", tmp_path / "sounds", "--out", tmp_path / "new/run", "--recipe", MICRO)
    assert not (tmp_path / "new").exists()


def test_one_class_with_one_clip(tmp_path: Path) -> None:
    _tone(tmp_path / "sounds" / "dog" / "a.wav")
    _fails("at least 2 are needed", "fit", tmp_path / "sounds", "--out", tmp_path / "run", "--recipe", MICRO)


def test_an_unknown_label_names_the_nearest(trained: Path, tmp_path: Path) -> None:
    _fails("did you mean 'hammer'", "generate", trained, "--label", "hamer", "--out", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--seconds", "inf", "--seconds must be a number above 0 (given: inf)"),
        ("--seconds", "nan", "--seconds must be a number above 0 (given: nan)"),
        ("--seconds", 0, "--seconds must be a number above 0 (given: 0.0)"),
        ("-n", 0, "-n must be at least 1 (you gave 0)"),
        ("--seed", -1, "--seed must be at least 0 (you gave -1)"),
        ("--rate", 100, "rate"),
        ("--temperature", -1, "temperature"),
        ("--top-p", 2, "top_p"),
        ("--seed", "x", "--seed"),
    ],
)
def test_an_impossible_option(trained: Path, tmp_path: Path, option: str, value: object, words: str) -> None:
    _fails(words, "generate", trained, "--label", "dog", option, value, "--out", tmp_path)


def test_a_missing_part(trained: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(trained, tmp_path / "model", ignore=shutil.ignore_patterns("data", "training"))
    (broken / "vocoder.safetensors").unlink()
    _fails("vocoder.safetensors is missing", "generate", broken, "--out", tmp_path / "new")


def test_a_foreign_part(trained: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(trained, tmp_path / "model", ignore=shutil.ignore_patterns("data", "training"))
    shutil.copy(broken / "codec.safetensors", broken / "vocoder.safetensors")
    _fails("holds a codec, a vocoder was expected", "generate", broken, "--out", tmp_path / "new")


def test_a_prior_of_another_codec(trained: Path, tmp_path: Path) -> None:
    from melgpt import checkpoint

    broken = shutil.copytree(trained, tmp_path / "model", ignore=shutil.ignore_patterns("data", "training"))
    codec = checkpoint.load(broken / "codec.safetensors")
    codec.quantizer.codebook.neg_()
    checkpoint.save(codec, broken / "codec.safetensors")
    _fails("was trained on codec", "generate", broken, "--out", tmp_path / "new")


def test_a_truncated_part(trained: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(trained, tmp_path / "model", ignore=shutil.ignore_patterns("data", "training"))
    whole = (broken / "codec.safetensors").read_bytes()
    (broken / "codec.safetensors").write_bytes(whole[: len(whole) // 2])
    _fails("damaged", "encode", broken, _tone(tmp_path / "a.wav"), tmp_path / "a.npz")


def test_a_sound_that_is_none(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    _fails("empty", "encode", trained, tmp_path / "a.wav", tmp_path / "a.npz")
    _fails("no such sound file", "encode", trained, tmp_path / "b.wav", tmp_path / "a.npz")
    _fails(".npz", "encode", trained, _tone(tmp_path / "c.wav"), tmp_path / "c.codes")


def test_a_truncated_sound(trained: Path, tmp_path: Path) -> None:
    whole = _tone(tmp_path / "whole.wav", 2.0).read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    _fails("truncated", "encode", trained, tmp_path / "cut.wav", tmp_path / "a.npz")


def test_codes_that_are_none(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK no codes")
    _fails("not a codes file", "decode", trained, tmp_path / "a.npz", tmp_path / "a.wav")
    _fails("no such codes file", "decode", trained, tmp_path / "b.npz", tmp_path / "a.wav")


def test_a_full_disk(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    import errno

    from melgpt import cli
    from melgpt.audio import output

    class Full(output.NewFile):
        def write(self, data: bytes) -> int:
            self.error = OSError(errno.ENOSPC, "No space left on device")
            return len(data)

    monkeypatch.setattr(output, "NewFile", Full)
    code = cli.main(["generate", str(trained), "--label", "dog", "--out", str(tmp_path)])
    assert code == 2
    assert "the disk is full" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [], "nothing half-written stays behind"


def test_a_folder_of_something_else_is_not_written_over(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "README.md").write_text("precious")
    _fails("not a model folder", "fit", corpus, "--out", tmp_path / "project", "--recipe", MICRO)
    assert (tmp_path / "project" / "README.md").read_text() == "precious"
    (tmp_path / "file").write_text("x")
    _fails("is a file", "fit", corpus, "--out", tmp_path / "file", "--recipe", MICRO)


def test_missing_weights_of_a_vocoder_are_told_before_anything_else(corpus: Path, tmp_path: Path) -> None:
    file = f"vocoder_file={tmp_path / 'none.safetensors'}"
    _fails("none.safetensors is missing", "fit", corpus, "--out", tmp_path / "r", "--recipe", MICRO, file)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "change",
    [
        "train.codec.discriminator.layers=5",
        "data.clip_seconds=inf",
        "train.codec.steps=0",
        "train.prior.batch=-1",
        "train.codec.crop_frames=17",
        "mel.hop=0",
        "mel=3",
    ],
)
def test_an_impossible_setting(corpus: Path, tmp_path: Path, change: str) -> None:
    _fails(
        change.split("=")[0].split(".")[-1], "fit", corpus, "--out", tmp_path / "r", "--recipe", MICRO, change
    )
    assert not (tmp_path / "r").exists()


def test_a_damaged_checkpoint_says_what_to_delete(trained: Path, corpus: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(trained, tmp_path / "run")
    (broken / "codec.safetensors").unlink()
    for name in ("last", "best"):
        (broken / f"training/codec/{name}.ckpt").write_bytes(b"half")
    (broken / "figures.json").write_text("no figures")
    _fails("delete", "fit", corpus, "--out", broken, "--recipe", MICRO)


def test_nothing_is_made_when_one_label_is_unknown(trained: Path, tmp_path: Path) -> None:
    _fails(
        "did you mean", "generate", trained, "--label", "baby", "--label", "dgo", "--out", tmp_path / "new"
    )
    assert not (tmp_path / "new").exists()
    _fails("temperature", "generate", trained, "--temperature", "nan", "--out", tmp_path / "new")


def test_labels_never_share_a_file() -> None:
    from melgpt.commands.generate import file_name

    labels = ["🐕", "🐈", "a/b", "a b", "a_b", "dog", "x" * 300, "x" * 301]
    assert len({file_name(label) for label in labels}) == len(labels)
    assert file_name("dog") == "dog"
    assert max(len(file_name(label)) for label in labels) < 100


def test_more_threads_than_any_machine_has(trained: Path, tmp_path: Path) -> None:
    _fails("less than or equal to 1024", "generate", trained, "--threads", 100000, "--out", tmp_path / "x")


@pytest.mark.parametrize("stage", ["prior", "vae"])
def test_data_that_the_codec_cannot_read(trained: Path, corpus: Path, tmp_path: Path, stage: str) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(trained / "codec.safetensors", run)
    assert melgpt("prepare", corpus, tmp_path / "other", "--mel", "hifigan").returncode == 0
    _fails("prepare it as the codec has it", "train", stage, tmp_path / "other", "--out", run)
    sounds = [
        _tone(tmp_path / "tones" / f"{name}.wav", seconds) for name, seconds in (("a", 0.5), ("b", 0.7))
    ]
    rows = "".join(f"{sound.name},tone,train\n" for sound in sounds)
    (tmp_path / "tones" / "metadata.csv").write_text(f"file_name,label,split\n{rows}")
    assert melgpt("prepare", tmp_path / "tones", tmp_path / "data").returncode == 0
    _fails("has no valid clips", "train", stage, tmp_path / "data", "--out", run)


def test_a_limit_that_nothing_keeps_to(trained: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run", "--recipe", MICRO)
    _fails("leave it out", "train", "classifier", trained / "data", *out, "--memory", "1GB")


def test_no_standard_error(corpus: Path, tmp_path: Path) -> None:
    """A service may run without one."""
    words = f"'{sys.executable}' -m melgpt prepare '{corpus}' '{tmp_path / 'data'}' 2>&-"
    assert subprocess.run(words, shell=True, check=False).returncode == 0
    assert (tmp_path / "data" / "data.json").is_file()
