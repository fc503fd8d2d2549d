"""A decoder is a stage of fit; what is made with it is sharper, has takes, and is the same each time."""

import json
from pathlib import Path

import pytest
import torch

import melgpt
from conftest import MICRO
from melgpt.cli import main
from melgpt.errors import UserError
from melgpt.training.fit import Run
from melgpt.training.recipe import Recipe

FLOW = ["decoder.kind=flow", "decoder.widths=[16,32]", "decoder.blocks=1", "decoder.steps=2"]
FLOW += ["train.codec.seed=1"]  # another codec than that of `trained`
FLOW += [f"train.decoder.{each}" for each in ("steps=8", "batch=2", "crop_frames=32", "validate_every=4")]


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow") / "run"
    Run(folder, Recipe.read(str(MICRO), FLOW)).fit(corpus)
    return folder


def test_fit_leaves_a_decoder_with_its_figures(run: Path) -> None:
    assert (run / "decoder.safetensors").is_file()
    figures = json.loads((run / "figures.json").read_text())
    assert {"mel_l1", "detail", "codec_detail"} <= figures["decoder"].keys()
    assert "decoder: detail" in (run / "README.md").read_text()


def test_the_same_seed_gives_the_same_sound_and_another_take_other_detail(run: Path) -> None:
    model = melgpt.load(run)
    label = model.labels[0]
    first, second = model.generate(label=label, seconds=0.5, takes=2)
    assert torch.equal(first.codes.grid, second.codes.grid)
    assert not torch.equal(first.mel.values, second.mel.values)
    assert (first.how["take"], second.how["take"]) == (0, 1)
    again = model.generate(label=label, seconds=0.5)[0]
    assert torch.equal(again.audio.samples, first.audio.samples)


def test_a_streamed_sound_has_the_same_codes_and_a_take(run: Path) -> None:
    model = melgpt.load(run)
    long = model.stream(label=model.labels[0], seconds=3, take=1)
    samples = torch.cat([audio.samples for audio in long], dim=-1)
    assert samples.shape[-1] == 3 * model.codec.scale.rate
    assert long.how["take"] == 1


def test_takes_of_a_reconstruction_differ(run: Path, corpus: Path) -> None:
    model = melgpt.load(run)
    codes = model.encode(next(corpus.rglob("*.wav")))
    one, other = (model.decode(codes, take=take).samples for take in (0, 1))
    assert one.shape == other.shape
    assert not torch.equal(one, other)
    assert torch.equal(one, model.decode(codes).samples)


def test_the_command_names_the_takes(run: Path, tmp_path: Path) -> None:
    label = melgpt.load(run).labels[0]
    asked = ["generate", run, "--label", label, "--seconds", "0.3", "--takes", "2", "--out", tmp_path / "new"]
    assert main([str(each) for each in asked]) == 0
    names = sorted(path.name for path in (tmp_path / "new").glob("*.wav"))
    assert names == [f"{label}_seed0_000.wav", f"{label}_seed0_000_take1.wav"]


def test_without_a_decoder_takes_are_refused(trained: Path) -> None:
    model = melgpt.load(trained)
    with pytest.raises(UserError, match="no decoder that draws"):
        model.generate(label=model.labels[0], takes=2)


def test_a_decoder_of_another_codec_is_refused(run: Path, trained: Path, tmp_path: Path) -> None:
    for name in ("codec", "vocoder", "prior"):
        (tmp_path / f"{name}.safetensors").symlink_to(trained / f"{name}.safetensors")
    (tmp_path / "decoder.safetensors").symlink_to(run / "decoder.safetensors")
    with pytest.raises(UserError, match="train the decoder again"):
        melgpt.load(tmp_path)


def test_a_crop_that_is_no_whole_token_is_refused() -> None:
    with pytest.raises(UserError, match=r"train\.decoder\.crop_frames must be a multiple"):
        Recipe.read(str(MICRO), ["decoder.kind=flow", "train.decoder.crop_frames=33"])


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ("[16,16,16,16]", "a token must cover a multiple of 16 frames, not 8: give fewer widths"),
        ("[16,16,16,16,16]", "80 mel bands cannot be halved 5 times: give fewer widths"),
        ("[0]", "decoder.widths.0: Input should be greater than or equal to 1"),
        ("[]", "decoder.widths: Tuple should have at least 1 item"),
    ],
)
def test_widths_that_do_not_fit_are_refused_before_the_first_stage(widths: str, words: str) -> None:
    with pytest.raises(UserError) as refused:
        Recipe.read(str(MICRO), [*FLOW, "codec.network.stem_stride=[4,2]", f"decoder.widths={widths}"])
    assert words in str(refused.value)
