"""Which files are sounds: suffixes in any case, and first bytes where a suffix tells nothing."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from made_sounds import RATE, encode_av, save, sound
from melgpt.audio.formats import begins_as_sound, is_sound_file, kind_of, shown_suffix
from melgpt.audio.io import AudioError, read

NOT_BY_BYTES = {"RAW", "SD2"}
"""Without a header, and with its header in a file of its own."""


@pytest.mark.parametrize(
    "name", ["a.wav", "A.WAV", "a.Aifc", "a.w64", "a.m4b", "a.3gp", "a.mka", "a.weba", "a.mp2"]
)
def test_a_suffix_of_a_sound_tells_it_in_any_case(name: str) -> None:
    assert kind_of(name) == "sound"


@pytest.mark.parametrize(
    "name", ["a", "kick.01", "a.ts", "a.mts", "a.dat", "a.mod", "a.snd", "a.b.xyz", "take 3. again"]
)
def test_a_name_that_tells_nothing_is_looked_into(name: str) -> None:
    assert kind_of(name) == "look"


@pytest.mark.parametrize("name", ["a.txt", "a.PNG", "a.zip", "a.npz", "a.json"])
def test_texts_pictures_archives_and_tables_are_not_opened(name: str) -> None:
    assert kind_of(name) == "other"


def test_a_sound_with_a_header_may_be_called_raw(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", sound(1)).rename(tmp_path / "a.raw")
    assert is_sound_file(str(path))
    assert read(path).seconds == 1
    (tmp_path / "b.raw").write_bytes(sound(1).tobytes())
    assert not is_sound_file(str(tmp_path / "b.raw"))
    with pytest.raises(AudioError):
        read(tmp_path / "b.raw")


@pytest.mark.parametrize("container", sorted(set(soundfile.available_formats()) - NOT_BY_BYTES))
def test_first_bytes_tell_what_libsndfile_writes(container: str, tmp_path: Path) -> None:
    subtype = soundfile.default_subtype(container) or soundfile.available_subtypes(container).popitem()[0]
    subtype = "DPCM_16" if container == "XI" else subtype
    rate = 8000 if container == "WVE" else RATE
    soundfile.write(tmp_path / "plain", sound(1, 0.2), rate, format=container, subtype=subtype)
    assert is_sound_file(str(tmp_path / "plain"))


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "aac"), ("mkv", "pcm_s16le"), ("webm", "libopus"), ("ts", "mp2"), ("mpg", "mp2"),
        ("avi", "pcm_s16le"), ("flv", "pcm_s16le"), ("wma", "wmav2"), ("aac", "aac"), ("ac3", "ac3"),
        ("eac3", "eac3"), ("mp2", "mp2"), ("latm", "aac"), ("wv", "wavpack"), ("tta", "tta"),
        ("rm", "ac3"), ("mov", "pcm_s16le"), ("adx", "adpcm_adx"),
    ],
)  # fmt: skip
def test_first_bytes_tell_what_ffmpeg_writes(suffix: str, codec: str, tmp_path: Path) -> None:
    path = encode_av(
        tmp_path / f"a.{suffix}", codec, sound(1, 0.5)[None], rate=48000 if codec == "libopus" else 44100
    )
    plain = path.rename(tmp_path / "plain")
    assert is_sound_file(str(plain))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"G", b"export const a = 1;\n" * 50, b"RIFF\0\0\0\0WEBPVP8 ", b"RIFF\0\0\0\0RMIDMThd",
        b"FORM\0\0\0\0ILBM", b"\0\0\0\x20ftypheic\0\0\0\0", b"\0\0\0\x20ftypavif", b"\0\0\0\x18ftypcrx ",
        b"PK\3\4", b"%PDF-1.7", b"GIF89a", b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(9000), b"ID3 is a format of tags", b"MAC address", b"MThd",
        b"caffeine", b"DSD is a format", b"MATLAB 5.0 MAT-file, made by someone" + bytes(300),
        b"\xff\xfe" + "text".encode("utf-16-le") * 900, b"\xff\xfb\x90\0" + bytes(5000),
        bytes(range(256)) * 99, bytes(40_000), b"\x1f\x8b\x08", b"SQLite format 3\0", b"\x7fELF",
    ],
)  # fmt: skip
def test_what_is_no_sound_is_not_taken_for_one(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(content)
    assert not begins_as_sound(str(tmp_path / "plain"))


def test_noise_is_hardly_ever_taken_for_a_sound(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        (tmp_path / "plain").write_bytes(rng.bytes(20_000))
        assert not begins_as_sound(str(tmp_path / "plain"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything may be read here")
def test_a_file_that_cannot_be_read_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"fLaC")
    (tmp_path / "plain").chmod(0)
    assert not begins_as_sound(str(tmp_path / "plain"))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.XYZ", ".xyz"),
        ("a", ""),
        ("kick.01", ".01"),
        ("Mr. Smith at home", ""),
        ("a.", ""),
        ("a.mp+", ".mp+"),
    ],
)
def test_files_are_counted_by_what_is_a_suffix(name: str, suffix: str) -> None:
    assert shown_suffix(name) == suffix
