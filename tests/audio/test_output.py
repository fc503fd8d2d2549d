"""Sounds are written as asked for: format, bits, rate and level; what a format cannot hold is refused."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from melgpt.audio.io import read, resample, write, write_pieces
from melgpt.audio.output import PEAK_DBFS, Output
from melgpt.errors import UserError
from melgpt.types import Audio

RATE = 22050


def tone(level: float = 0.3, seconds: float = 0.5) -> Audio:
    time = torch.arange(round(seconds * RATE)) / RATE
    return Audio(level * torch.sin(2 * torch.pi * 440 * time)[None], RATE)


@pytest.mark.parametrize(
    ("name", "bits", "subtype", "exact"),
    [
        ("a.wav", None, "PCM_16", 2**-15),
        ("a.wav", "16", "PCM_16", 2**-15),
        ("a.wav", 24, "PCM_24", 2**-23),
        ("a.wav", "32f", "FLOAT", 0),
        ("a.flac", 16, "PCM_16", 2**-15),
        ("a.flac", "24", "PCM_24", 2**-23),
        ("a.ogg", None, "VORBIS", 0.05),
    ],
)
def test_each_format_holds_its_bits(
    tmp_path: Path, name: str, bits: object, subtype: str, exact: float
) -> None:
    write(tmp_path / name, tone(), bits=bits)
    assert soundfile.info(tmp_path / name).subtype == subtype
    found, _ = soundfile.read(tmp_path / name, dtype="float32")
    assert np.abs(found - tone().samples[0].numpy()).max() <= exact


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.flac", {"bits": "32f"}, "FLAC takes bits 16 or 24 \\(given: 32f\\)"),
        ("a.ogg", {"bits": 24}, "OGG has no bits: leave them out \\(given: 24\\)"),
        ("a.wav", {"bits": 8}, "bits"),
        ("a.wav", {"rate": 1}, "rate"),
        ("a.wav", {"rate": 1_000_000}, "rate"),
        ("a.wav", {"normalise": True}, "did you mean 'normalize'"),
        ("a.mp3", {}, "suffix must be one of .wav, .flac, .ogg"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        write(tmp_path / name, tone(), **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", [44100, 8000])
def test_another_rate_is_the_resampled_sound_also_in_pieces(tmp_path: Path, rate: int) -> None:
    pieces = [Audio(part, RATE) for part in tone().samples.split(1000, dim=1)]
    write_pieces(tmp_path / "pieces.wav", pieces, RATE, Output(rate=rate))
    write(tmp_path / "whole.wav", tone(), rate=rate)
    assert (tmp_path / "pieces.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()
    found, expected = read(tmp_path / "whole.wav"), resample(tone(), rate)
    assert found.rate == rate
    assert torch.allclose(found.samples, expected.samples, atol=2**-15)


@pytest.mark.parametrize("level", [0.01, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("rate", [None, 44100])
def test_normalize_brings_the_peak_to_its_place_and_no_further(
    tmp_path: Path, level: float, rate: int | None
) -> None:
    written = write(tmp_path / "a.wav", tone(level), normalize=True, rate=rate)
    peak = 20 * float(read(tmp_path / "a.wav").samples.abs().max().log10())
    assert peak == pytest.approx(PEAK_DBFS, abs=0.01)
    assert written.peak_dbfs == pytest.approx(PEAK_DBFS, abs=0.01)
    assert written.gain_db == pytest.approx(PEAK_DBFS - 20 * np.log10(level), abs=0.1)
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"], "the temporary file is gone"


@pytest.mark.parametrize("level", [0.0, 0.002])
def test_what_is_nearly_silent_is_not_made_loud(tmp_path: Path, level: float) -> None:
    written = write(tmp_path / "a.wav", tone(level), normalize=True)
    assert written.nearly_silent
    assert written.gain_db == 0
    assert torch.allclose(read(tmp_path / "a.wav").samples, tone(level).samples, atol=2**-15)


def test_a_sound_in_pieces_is_normalized_as_a_whole_and_held_piece_by_piece(tmp_path: Path) -> None:
    alive: list[int] = []

    def pieces() -> Iterator[Audio]:
        for level in (0.1, 0.5, 0.2):
            alive.append(1)
            yield tone(level)

    write_pieces(tmp_path / "a.flac", pieces(), RATE, Output(normalize=True, bits="24"))
    parts = read(tmp_path / "a.flac").samples[0].split(len(tone().samples[0]))
    wanted = 10 ** (PEAK_DBFS / 20)
    assert [float(part.max()) for part in parts] == pytest.approx([wanted * s for s in (0.2, 1, 0.4)], 1e-2)
    assert len(alive) == 3, "it is made once"


def test_float_files_keep_what_is_above_full_scale_and_others_cut_it(tmp_path: Path) -> None:
    for bits, peak in (("32f", 4.0), (16, 1.0)):
        assert write(tmp_path / "a.wav", tone(4.0), bits=bits).peak_dbfs == pytest.approx(12.04, abs=0.01)
        found, _ = soundfile.read(tmp_path / "a.wav")
        assert np.abs(found).max() == pytest.approx(peak, abs=1e-3)


def test_long_ogg_files_and_high_rates_do_not_end_the_process(tmp_path: Path) -> None:
    write(tmp_path / "long.ogg", Audio(torch.zeros(1, 2_000_000), 48000))
    assert soundfile.info(tmp_path / "long.ogg").frames == 2_000_000
    for name in ("high.ogg", "high.flac"):
        with pytest.raises(UserError, match="holds up to 192000 Hz, not 384000"):
            write(tmp_path / name, Audio(torch.zeros(1, 1000), 384_000))


def test_samples_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    samples = tone().samples.clone()
    samples[0, 7] = torch.nan
    with pytest.raises(UserError, match="not finite"):
        write(tmp_path / "a.wav", Audio(samples, RATE))
    assert not list(tmp_path.iterdir())
