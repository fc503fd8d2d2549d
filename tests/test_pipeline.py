"""The Python functions take what makes sense, and refuse anything else with one sentence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import melgpt
from melgpt.audio.io import read
from melgpt.data.codes_file import write_codes
from melgpt.errors import UserError
from melgpt.pipeline import SoundModel

SOUND = melgpt.Audio(torch.rand(1, 6000) - 0.5, 22050)
NAN = float("nan")


@pytest.fixture(scope="module")
def model(trained: Path) -> SoundModel:
    return melgpt.load(trained)


@pytest.fixture(scope="module")
def vae(with_vae: Path) -> SoundModel:
    return melgpt.load(with_vae)


def test_a_list_of_labels_gives_the_sounds_of_each_in_turn(model: SoundModel) -> None:
    both = model.generate(label=["dog", "gun"], n=2, seconds=0.3, seed=4)
    assert [(sound.how["label"], sound.how["index"]) for sound in both] == [
        ("dog", 0), ("dog", 1), ("gun", 0), ("gun", 1)
    ]  # fmt: skip
    alone = model.generate(label="gun", n=2, seconds=0.3, seed=4)
    assert all(torch.equal(a.codes.grid, b.codes.grid) for a, b in zip(both[2:], alone, strict=True))
    assert both[0].seconds == both[0].audio.seconds == pytest.approx(0.3, abs=1e-4)


def test_a_sound_that_ended_by_itself_ends_within_its_last_column(model: SoundModel) -> None:
    token = model.codec.config.network.token_size[1]
    silence = model.codec.silent_column()
    grid = torch.stack([torch.ones_like(silence), silence, silence], dim=1)[None]
    stream = torch.Generator().manual_seed(1)
    ended = model._sound(grid, stream, None, {}, columns=9)
    whole = model._sound(grid, stream, None, {}, columns=3)
    assert whole.mel.values.shape[-1] == 3 * token
    assert 2 * token < ended.mel.values.shape[-1] <= 3 * token
    assert ended.how["ended_at_seconds"] == pytest.approx(ended.audio.seconds, abs=1e-3)
    assert model.decode(ended.codes).samples.shape == ended.audio.samples.shape


def test_paths_and_lists_are_taken_where_sounds_are(model: SoundModel, corpus: Path, tmp_path: Path) -> None:
    path = next((corpus / "dog").iterdir())
    codes = model.encode(read(path))
    assert torch.equal(model.encode(str(path)).grid, codes.grid)
    several = model.encode([path, SOUND])
    assert torch.equal(several[0].grid, codes.grid)
    write_codes(tmp_path / "a.npz", codes)
    sound = model.decode(codes)
    assert torch.equal(model.decode([tmp_path / "a.npz", codes])[0].samples, sound.samples)
    restored, _ = model.reconstruct([path, SOUND])
    restored.save(tmp_path / "again.wav")
    assert restored.seconds == pytest.approx(read(path).seconds)


def test_samples_of_one_dimension_are_a_sound(model: SoundModel) -> None:
    flat = melgpt.Audio(SOUND.samples[0], 22050)
    assert torch.equal(model.encode(flat).grid, model.encode(SOUND).grid)
    assert model.reconstruct(flat).samples.shape == SOUND.samples.shape


def test_a_sound_goes_on_between_two_files(vae: SoundModel, corpus: Path) -> None:
    ends = sorted((corpus / "dog").iterdir())[:2]
    by_path, by_sound = (vae.interpolate(*given, steps=2) for given in (ends, map(read, ends)))
    assert torch.equal(by_path[1].codes.grid, by_sound[1].codes.grid)


WRONG: list[tuple[Callable[[SoundModel], object], str]] = [
    (lambda m: m.generate(label="dog", n=0), "n must be a whole number from 1 on (given: 0)"),
    (lambda m: m.generate(label="dog", n=1.5), "n must be a whole number from 1 on (given: 1.5)"),
    (lambda m: m.generate(label="dog", n="2"), "n must be a whole number from 1 on (given: '2')"),
    (lambda m: m.generate(label="dog", n=True), "n must be a whole number from 1 on (given: True)"),
    (lambda m: m.generate(label="dog", seed=-1), "seed must be a whole number from 0 on (given: -1)"),
    (lambda m: m.generate(label="dog", seed=0.5), "seed must be a whole number from 0 on (given: 0.5)"),
    (lambda m: m.generate(label="dog", seconds="1"), "seconds must be a number above 0 (given: '1')"),
    (lambda m: m.generate(label="dog", seconds=0), "seconds must be a number above 0 (given: 0)"),
    (lambda m: m.generate(label="dog", seconds=NAN), "seconds must be a number above 0 (given: nan)"),
    (lambda m: m.generate(label="dog", seconds=601), "seconds must be at most 600.00 (given: 601)"),
    (lambda m: m.generate(label="dog", temperature=NAN), "temperature must be a finite number (given: nan)"),
    (lambda m: m.generate(label="dog", temperature="1"), "temperature must be a finite number (given: '1')"),
    (lambda m: m.generate(label="dog", top_k=1.5), "top_k"),
    (lambda m: m.generate(label="dog", temprature=1), "did you mean 'temperature'"),
    (lambda m: m.generate(label=3), "a label is the name of a class (given: 3)"),
    (lambda m: m.generate(label=["dog", None]), "label"),
    (lambda m: m.generate(label=[]), "label is an empty list"),
    (lambda m: m.generate(label=["dog", "dgo"]), "did you mean 'dog'"),
    (lambda m: m.generate(), "give a label"),
    (lambda m: m.generate(label="dog", features=[1]), "sees no video"),
    (lambda m: m.stream(label="dog", seconds="1"), "seconds must be a number above 0 (given: '1')"),
    (lambda m: m.stream(label="dog", seconds=5, seed=-1), "seed must be a whole number"),
    (lambda m: m.stream(label="dog", seconds=5, index=-1), "index must be a whole number"),
    (lambda m: m.stream(label=["dog"], seconds=5), "a label is the name of a class"),
    (lambda m: m.stream(label="dog", seconds=5, min_p=NAN), "min_p must be a finite number"),
    (lambda m: m.encode(3), "not a int"),
    (lambda m: m.encode([SOUND, None]), "not a NoneType"),
    (lambda m: m.encode(replace(SOUND, samples=SOUND.samples * NAN)), "not all finite"),
    (lambda m: m.reconstruct(replace(SOUND, samples=torch.zeros(2, 100))), "not [2, 100]"),
    (lambda m: m.reconstruct(replace(SOUND, rate=0)), "not 0"),
    (lambda m: m.decode(3), "not a int"),
    (lambda m: m.decode("none.npz"), "no such codes file"),
    (lambda m: m.decode(replace(m.encode(SOUND), grid=torch.zeros(4, 5))), "whole numbers, not [4, 5]"),
    (lambda m: m.decode(replace(m.encode(SOUND), frames="3")), "frames"),
]  # fmt: skip
WRONG_VAE: list[tuple[Callable[[SoundModel], object], str]] = [
    (lambda m: m.generate_from_vae(n=0), "n must be a whole number from 1 on"),
    (lambda m: m.generate_from_vae(seed="a"), "seed must be a whole number"),
    (lambda m: m.generate_from_vae(seconds=NAN), "seconds must be a number above 0"),
    (lambda m: m.generate_from_vae(top_p="1"), "top_p must be a finite number"),
    (lambda m: m.interpolate(SOUND, SOUND, steps=1), "must be at least 2, not 1"),
    (lambda m: m.interpolate(SOUND, SOUND, steps=2.5), "steps must be a whole number"),
    (lambda m: m.interpolate(SOUND, 3), "not a int"),
    (lambda m: m.interpolate(SOUND, SOUND, temperature=NAN), "temperature must be a finite number"),
]


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_a_wrong_value_is_one_sentence(
    model: SoundModel, call: Callable[[SoundModel], object], words: str
) -> None:
    with pytest.raises(UserError) as raised:
        call(model)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("call", "words"), WRONG_VAE)
def test_a_wrong_value_for_the_vae_is_one_sentence(
    vae: SoundModel, call: Callable[[SoundModel], object], words: str
) -> None:
    with pytest.raises(UserError) as raised:
        call(vae)
    assert words in str(raised.value)


def test_help_tells_the_defaults_and_where_the_labels_are() -> None:
    told = SoundModel.generate.__doc__ or ""
    assert "model.labels" in told
    for words in ("temperature (1)", "top_k (0)", "top_p (1)", "min_p (0)", "guidance (4", "(1)", "seed"):
        assert words in told
