"""What a user does with a sound: save it, look at it, hear it; and what is taken as one."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import melgpt
from melgpt import types
from melgpt.audio import player
from melgpt.audio.given import as_audio
from melgpt.audio.io import read, read_blocks, resample
from melgpt.errors import UserError


def noise(samples: int = 8000, rate: int = 22050) -> melgpt.Audio:
    return melgpt.Audio(torch.rand(1, samples) - 0.5, rate)


def test_a_sound_is_saved_with_its_options(tmp_path: Path) -> None:
    assert noise().save(tmp_path / "a.flac", bits=24, rate=44100) is None
    info = soundfile.info(tmp_path / "a.flac")
    assert (info.subtype, info.samplerate) == ("PCM_24", 44100)
    assert repr(noise()) == "<Audio [1, 8000], 0.36 s, 22050 Hz>"


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
@pytest.mark.parametrize("samples", [1, 300, 8000])
def test_a_sound_of_any_rate_is_drawn(tmp_path: Path, rate: int, samples: int) -> None:
    assert noise(samples, rate).plot(tmp_path / "a.png") is None
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_path_the_picture_comes_back() -> None:
    assert noise().plot()._repr_png_().startswith(b"\x89PNG")


def test_whatever_gives_a_sound_gives_one_that_can_be_saved(tmp_path: Path) -> None:
    noise().save(tmp_path / "a.wav")
    plain = types.Audio(noise().samples, 22050)
    given = [read(tmp_path / "a.wav"), *read_blocks(tmp_path / "a.wav")]
    assert all(isinstance(audio, melgpt.Audio) for audio in [*given, resample(plain, 44100)])


def test_it_is_played_by_the_player_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "aplay"
    script.write_text(f'#!/bin/sh\n/bin/cp "$2" "{tmp_path}/played.wav"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    sound = noise()
    sound.play()
    assert np.allclose(soundfile.read(tmp_path / "played.wav")[0], sound.samples[0], atol=2**-15)
    script.write_text("#!/bin/sh\necho 'no sound\ncard' >&2; exit 1\n")
    with pytest.raises(UserError, match="^aplay cannot play the sound: no sound card$"):
        sound.play()


def test_without_a_player_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player.shutil, "which", lambda name: None)
    monkeypatch.setattr(player.sys, "platform", "linux")
    with pytest.raises(UserError, match="install alsa-utils"):
        noise().play()


def test_mono_samples_are_taken_as_one_sound() -> None:
    assert as_audio(melgpt.Audio(torch.zeros(50), 8000)).samples.shape == (1, 50)
    assert as_audio(melgpt.Audio(torch.zeros(1, 50).double(), 8000)).samples.dtype == torch.float32


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "not a int"),
        (np.zeros(5), "not a ndarray"),
        (melgpt.Audio(np.zeros((1, 5)), 8000), "not ndarray"),
        (melgpt.Audio(torch.zeros(1, 5, dtype=torch.int16), 8000), "not torch.int16"),
        (melgpt.Audio(torch.zeros(2, 5), 8000), "not \\[2, 5\\]"),
        (melgpt.Audio(torch.zeros(1, 0), 8000), "not \\[1, 0\\]"),
        (melgpt.Audio(torch.zeros(1, 2, 3), 8000), "not \\[1, 2, 3\\]"),
        (melgpt.Audio(torch.full((1, 5), torch.nan), 8000), "finite"),
        (melgpt.Audio(torch.full((1, 5), torch.inf), 8000), "finite"),
        (melgpt.Audio(torch.zeros(1, 5), 0), "not 0"),
        (melgpt.Audio(torch.zeros(1, 5), 8000.5), "not 8000.5"),
    ],
)
def test_what_is_no_sound_is_refused_with_a_sentence(given: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        as_audio(given)
