"""The commands as a user runs them, on a model folder that `fit` wrote."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import melgpt
from conftest import MICRO
from conftest import melgpt as command
from melgpt import checkpoint
from melgpt.audio.io import read
from melgpt.data.scan import scan
from melgpt.errors import UserError
from melgpt.pipeline import SoundModel
from melgpt.training.recipe import Recipe

LABELS = ("baby", "cough", "dog", "drum", "fireworks", "gun", "hammer", "sneeze")


@pytest.fixture(scope="module")
def model(trained: Path) -> SoundModel:
    return melgpt.load(trained)


def test_fit_writes_a_whole_model_folder(trained: Path) -> None:
    written = {path.name for path in trained.iterdir()}
    parts = {"codec.safetensors", "prior.safetensors", "vocoder.safetensors"}
    assert parts | {"recipe.toml", "README.md", "figures.json", "data", "training"} <= written
    figures = json.loads((trained / "figures.json").read_text())
    assert 0 < figures["codec"]["mel_l1"] < 1
    assert set(figures["seconds"]) == {"prepare", "train codec", "encode", "train prior"}
    assert "validation mel L1" in (trained / "README.md").read_text()


def test_the_board_has_scalars_pictures_and_sound(trained: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(trained / "training/codec"))
    board.Reload()
    tags = board.Tags()
    wanted = {"train/l1", "train/quantizer_loss", "train/discriminator_loss", "train/generator_loss"}
    wanted |= {
        "train/perplexity",
        "train/use",
        "val/l1",
        "val/perplexity",
        "val/codes_used",
        "val/dead_codes",
    }
    assert wanted <= set(tags["scalars"])
    assert {"picture 0/original", "picture 0/reconstruction"} <= set(tags["images"])
    assert {"sound 0/original", "sound 0/reconstruction"} <= set(tags["audio"])
    assert not set(tags["images"]) & set(tags["audio"]), "TensorBoard shows one kind of thing a name"


def test_the_last_checkpoint_is_the_last_whatever_got_better(trained: Path) -> None:
    for stage in ("codec", "prior"):
        last = torch.load(trained / "training" / stage / "last.ckpt", weights_only=True)
        assert last["epoch"] == 2, "three epochs of four steps"


def test_generate_writes_sound_picture_and_how(trained: Path, tmp_path: Path) -> None:
    done = command(
        "generate",
        trained,
        "--label",
        "dog",
        "-n",
        2,
        "--seconds",
        0.5,
        "--seed",
        3,
        "--top-k",
        5,
        "--out",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    names = [f"dog_seed3_{i:03d}" for i in range(2)]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"{n}.{s}" for n in names for s in ("json", "png", "wav")
    )
    assert done.stdout.split() == [str(tmp_path / f"{n}.wav") for n in names]
    info = soundfile.info(tmp_path / f"{names[0]}.wav")
    assert (info.samplerate, info.frames, info.channels) == (22050, 11025, 1)
    how = json.loads((tmp_path / f"{names[1]}.json").read_text())
    assert how["label"] == "dog"
    assert (how["seed"], how["index"], how["sampling"]["top_k"]) == (3, 1, 5)
    assert how["model"]["codec"] == melgpt.checkpoint.describe(trained / "codec.safetensors").fingerprint


def test_a_single_sound_may_be_given_a_file(trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "bark.flac"
    one = ["generate", trained, "--label", "dog", "--out", file]
    done = command(*one)
    assert (done.returncode, done.stdout) == (0, f"{file}\n")
    assert sorted(p.name for p in file.parent.iterdir()) == ["bark.flac", "bark.json", "bark.png"]
    for several in ([*one, "-n", 2], ["generate", trained, "--out", file]):
        done = command(*several)
        assert done.returncode == 2
        assert "is one sound file" in done.stderr


def test_without_a_label_every_class_is_made(trained: Path, tmp_path: Path) -> None:
    assert command("generate", trained, "--out", tmp_path).returncode == 0
    assert {p.name.split("_")[0] for p in tmp_path.glob("*.wav")} == set(LABELS)


def test_the_same_seed_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        command(
            "generate",
            trained,
            "--label",
            "gun",
            "-n",
            2,
            "--seed",
            5,
            "--guidance",
            2,
            "--out",
            tmp_path / name,
        )
    for first in sorted((tmp_path / "a").iterdir()):
        assert first.read_bytes() == (tmp_path / "b" / first.name).read_bytes()


def test_sounds_that_are_replaced_by_others_are_counted(trained: Path, tmp_path: Path) -> None:
    same = ["generate", trained, "--label", "gun", "-n", 2, "--out", tmp_path]
    assert "overwritten" not in command(*same).stderr
    assert "overwritten" not in command(*same).stderr
    assert "2 files were overwritten; choose another --out" in command(*same, "--top-k", 3).stderr


def test_that_the_likeliest_codes_are_always_the_same_is_said(
    model: SoundModel, trained: Path, tmp_path: Path
) -> None:
    twice = ["generate", trained, "--label", "gun", "-n", 2, "--seconds", 0.5, "--out", tmp_path]
    assert "all 2 sounds of a class will have the same codes" in command(*twice, "--temperature", 0).stderr
    first, second = model.generate(label="gun", n=2, seconds=0.5, temperature=0)
    assert torch.equal(first.codes.grid, second.codes.grid)
    assert "same codes" not in command(*twice).stderr


def test_guidance_is_what_suits_the_model_unless_it_is_given(
    model: SoundModel, trained: Path, tmp_path: Path
) -> None:
    suited = model.generate(label="dog", seed=7, seconds=0.9)[0]
    assert suited.how["sampling"]["guidance"] == model.prior.guidance == 4
    as_learned = model.generate(label="dog", seed=7, seconds=0.9, guidance=1)[0]
    assert as_learned.how["sampling"]["guidance"] == 1
    asked = command(
        "generate", trained, "--label", "dog", "--seconds", 0.9, "--guidance", 1, "--out", tmp_path
    )
    assert asked.returncode == 0
    (file,) = tmp_path.glob("*.json")
    assert json.loads(file.read_text())["sampling"]["guidance"] == 1


def test_a_model_and_a_sound_say_what_they_are(model: SoundModel) -> None:
    assert repr(model).startswith("<SoundModel of codec, vocoder, prior; labels ['baby'")
    assert repr(model.generate(label="gun", seconds=0.5)[0]) == "<Sound 'gun', 0.50 s, 22050 Hz>"


def test_a_clip_does_not_depend_on_how_many_are_made(model: SoundModel) -> None:
    one, three = (model.generate(label="dog", n=n, seed=7, seconds=0.9) for n in (1, 3))
    assert torch.equal(one[0].codes.grid, three[0].codes.grid)
    assert torch.allclose(one[0].audio.samples, three[0].audio.samples, atol=1e-3)
    assert not torch.equal(three[0].codes.grid, three[1].codes.grid)


def test_a_sound_may_end_by_itself(model: SoundModel) -> None:
    lengths = {s.audio.samples.shape[-1] for s in model.generate(label="dog", n=12, seed=1)}
    assert max(lengths) <= round(model.max_seconds * 22050) + 256
    assert len(lengths) > 1


def test_codes_go_to_a_file_and_back(trained: Path, model: SoundModel, corpus: Path, tmp_path: Path) -> None:
    source = corpus / "drum" / "drum_0001.wav"
    assert command("encode", trained, source, tmp_path / "d.npz").returncode == 0
    assert command("decode", trained, tmp_path / "d.npz", tmp_path / "d.wav").returncode == 0
    direct = model.reconstruct(read(source))
    decoded = read(tmp_path / "d.wav")
    assert np.allclose(decoded.samples, direct.samples.clamp(-1, 1), atol=1e-3)
    assert decoded.seconds == read(source).seconds


def test_codes_of_a_folder_go_back_to_a_folder(trained: Path, corpus: Path, tmp_path: Path) -> None:
    for name in ("drum_0001", "drum_0002"):
        (tmp_path / "some" / "drum").mkdir(parents=True, exist_ok=True)
        shutil.copy(corpus / "drum" / f"{name}.wav", tmp_path / "some" / "drum")
    assert command("encode", trained, tmp_path / "some", tmp_path / "codes").returncode == 0
    (tmp_path / "codes" / "drum" / "._drum_0001.wav.npz").write_text("a hidden file")
    (tmp_path / "codes" / "drum" / "notes.txt").write_text("no codes")
    shutil.move(tmp_path / "codes/drum/drum_0002.wav.npz", tmp_path / "codes/drum/drum_0002.wav.NPZ")
    done = command("decode", trained, tmp_path / "codes", tmp_path / "back")
    assert done.returncode == 0, done.stderr
    assert "not looked at: 1 .txt" in done.stderr
    sounds = sorted(p.name for p in (tmp_path / "back" / "drum").glob("*.wav"))
    assert sounds == ["drum_0001.wav", "drum_0002.wav"]
    assert not list(scan(tmp_path / "back")), "what the program made is not learnt"
    assert len(done.stdout.split()) == 2
    (tmp_path / "none").mkdir()
    assert "no file ends in .npz" in command("decode", trained, tmp_path / "none", tmp_path / "back").stderr


def test_reconstruct_writes_a_sound_or_a_folder(trained: Path, corpus: Path, tmp_path: Path) -> None:
    source = corpus / "drum" / "drum_0001.wav"
    assert command("reconstruct", trained, source, tmp_path / "d.flac").stdout == f"{tmp_path / 'd.flac'}\n"
    done = command("reconstruct", trained, source, tmp_path / "both")
    assert done.stdout == f"{tmp_path / 'both' / 'drum_0001.wav'}\n"
    assert (tmp_path / "d.flac").is_file()
    assert {p.suffix for p in (tmp_path / "both").iterdir()} == {".wav", ".png", ".json"}
    assert [found.path for found in scan(tmp_path)] == ["d.flac"], "what the program made is not learnt"
    (tmp_path / "both" / "drum_0001.json").write_text("a person's own")
    assert command("reconstruct", trained, source, tmp_path / "both").returncode == 0
    assert (tmp_path / "both" / "drum_0001.json").read_text() == "a person's own"


def test_reconstruct_keeps_the_length_to_the_sample(model: SoundModel) -> None:
    sound = melgpt.Audio(torch.rand(1, 20001) - 0.5, 22050)
    assert model.reconstruct(sound).samples.shape == sound.samples.shape


def test_reconstruct_takes_a_folder_with_a_dot_in_its_name(
    trained: Path, corpus: Path, tmp_path: Path
) -> None:
    source = next(corpus.rglob("*.wav"))
    (tmp_path / "take.2").mkdir()
    assert command("reconstruct", trained, source, tmp_path / "take.2").returncode == 0
    assert (tmp_path / "take.2" / f"{source.stem}.wav").is_file()


def test_a_sound_that_is_cut_ends_softly(model: SoundModel) -> None:
    cut = model.generate(label="dog", seconds=0.3, seed=1)[0]
    assert cut.audio.samples[0, -1] == 0
    assert cut.how["ended_at_seconds"] <= 0.3


def test_a_sound_may_be_longer_than_the_model(trained: Path, model: SoundModel, tmp_path: Path) -> None:
    seconds = 3.3 * model.max_seconds
    done = command("generate", trained, "--label", "dog", "--seconds", seconds, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "dog_seed0_000.wav").frames == round(seconds * 22050)
    two, one = (model.generate(label="dog", n=n, seconds=seconds)[0] for n in (2, 1))
    assert torch.equal(one.codes.grid, two.codes.grid)
    assert int(one.codes.grid.max()) < model.codec.codebook_size
    assert one.how["ended_at_seconds"] == pytest.approx(seconds, abs=1e-3)
    assert one.audio.samples[0, -1] == 0


def test_the_models_own_length_is_written_in_one_go(model: SoundModel) -> None:
    columns = model.prior.config.columns
    assert model.generate(label="dog", seconds=model.max_seconds)[0].codes.grid.shape[-1] <= columns
    assert (
        model.generate(label="dog", seconds=model.max_seconds + 0.01)[0].codes.grid.shape[-1] == columns + 1
    )


def test_a_begun_folder_goes_on_with_its_own_recipe(trained: Path, corpus: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    done = command("fit", corpus, "--out", run)
    assert done.returncode == 0, done.stderr
    assert "codec: already trained" in done.stderr
    assert "prior: already trained" in done.stderr


def test_a_later_stage_goes_on_with_the_recipe_of_the_first(trained: Path, tmp_path: Path) -> None:
    short = ("train.codec.steps=2", "train.codec.warmup=1", "train.prior.steps=2", "train.prior.warmup=1")
    for stage, recipe in (("codec", ("--recipe", MICRO, *short)), ("prior", ())):
        done = command("train", stage, trained / "data", "--out", tmp_path / "run", *recipe)
        assert done.returncode == 0, done.stderr
        assert f"{stage}: finished, " in done.stderr
        assert f"; {tmp_path / 'run' / stage}.safetensors" in done.stderr
    begun, told = Recipe.read(MICRO), Recipe.read(str(tmp_path / "run" / "recipe.toml"))
    prior = checkpoint.load(tmp_path / "run" / "prior.safetensors", "prior")
    assert prior.config.blocks == begun.prior.blocks == told.prior.blocks
    assert told.train.prior.steps == 2


def test_the_recipe_tells_the_codec_that_is_there(trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    other = ("--recipe", MICRO, "codec.network.channels=16", "train.prior.steps=2", "train.prior.warmup=1")
    done = command("train", "prior", trained / "data", "--out", run, *other)
    assert done.returncode == 0, done.stderr
    codec = checkpoint.load(run / "codec.safetensors", "codec")
    assert codec.config.network.channels != 16
    assert Recipe.read(str(run / "recipe.toml")).codec == codec.config


def test_a_damaged_part_is_made_again(trained: Path, corpus: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    whole = (run / "prior.safetensors").read_bytes()
    (run / "prior.safetensors").write_bytes(whole[: len(whole) // 2])
    done = command("fit", corpus, "--out", run)
    assert done.returncode == 0, done.stderr
    assert "is damaged and will be made again" in done.stderr
    assert (run / "prior.safetensors").read_bytes() == whole


@pytest.mark.parametrize("change", ["rows", "codebook", "below 0", "nothing", "frames"])
def test_codes_edited_by_hand_are_refused(model: SoundModel, change: str) -> None:
    codes = model.encode(melgpt.Audio(torch.rand(1, 20000) - 0.5, 22050))
    edited = {
        "rows": {"grid": codes.grid[:, :-1]},
        "codebook": {"grid": codes.grid + 1000},
        "below 0": {"grid": codes.grid - 1000},
        "nothing": {"grid": codes.grid[..., :0]},
        "frames": {"frames": 100000},
    }[change]
    with pytest.raises(UserError, match="codes"):
        model.decode(replace(codes, **edited))


def test_codes_of_another_codec_are_refused(model: SoundModel) -> None:
    foreign = melgpt.Codes(
        torch.zeros(1, model.codec.config.rows, 2, dtype=torch.int64), 16, "0123456789abcdef"
    )
    with pytest.raises(UserError, match="0123456789abcdef"):
        model.decode(foreign)
