"""Joined files are heard to their end, and a wrong size in a header does not shorten a sound."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from made_sounds import encode_av
from melgpt.audio.decoding.parts import parts_of
from melgpt.audio.io import DAMAGED, AudioError, Finding, TruncatedAudioError, read

RATE = 22050


def tone(seconds: float, hertz: float = 300.0, rate: int = RATE) -> np.ndarray:
    return (0.3 * np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * hertz / rate)).astype(np.float32)


def seconds(path: Path) -> float:
    return read(path).seconds


def overwritten(path: Path, fields: dict[int, bytes]) -> Path:
    data = bytearray(path.read_bytes())
    for place, value in fields.items():
        data[place : place + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "subtype", "rate"),
    [
        ("a.ogg", "VORBIS", 44100),
        ("a.opus", "OPUS", 48000),
        ("a.flac", "PCM_16", 44100),
        ("a.mp3", "MPEG_LAYER_III", 44100),
        ("a.wav", "PCM_16", 44100),
        ("a.aiff", "PCM_16", 44100),
        ("a.au", "PCM_16", 44100),
        ("a.caf", "PCM_16", 44100),
        ("a.w64", "PCM_16", 44100),
        ("a.voc", "PCM_16", 44100),
        ("a.sph", "PCM_16", 44100),
        ("a.ircam", "PCM_16", 44100),
        ("a.avr", "PCM_16", 44100),
        ("a.paf", "PCM_16", 44100),
        ("a.pvf", "PCM_16", 44100),
        ("a.8svx", "PCM_16", 44100),
    ],
)
def test_joined_files_follow_each_other_to_the_sample(
    tmp_path: Path, name: str, subtype: str, rate: int
) -> None:
    parts = []
    for number, length in enumerate((1.3, 0.7, 1.0)):
        path = tmp_path / f"{number}{name}"
        kind = {"a.opus": "OGG", "a.au": "AU", "a.sph": "NIST", "a.8svx": "SVX"}.get(name)
        soundfile.write(path, tone(length, 300 * (number + 1), rate), rate, subtype, format=kind)
        parts.append(path)
    joined = tmp_path / name
    joined.write_bytes(b"".join(path.read_bytes() for path in parts))
    whole = read(joined).samples[0].numpy()
    alone = np.concatenate([read(path).samples[0].numpy() for path in parts])
    assert len(whole) == len(alone) == pytest.approx(3.0 * rate, abs=30)
    np.testing.assert_allclose(whole, alone, atol=1e-6)


def test_parts_of_other_rates_and_channels_are_heard_at_the_first_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "0.ogg", tone(1.0, rate=44100), 44100)
    soundfile.write(tmp_path / "1.ogg", np.stack([tone(2.0)] * 2, 1), RATE)
    joined = tmp_path / "a.ogg"
    joined.write_bytes((tmp_path / "0.ogg").read_bytes() + (tmp_path / "1.ogg").read_bytes())
    sound = read(joined)
    assert (sound.rate, sound.samples.shape[-1]) == (44100, pytest.approx(3 * 44100, abs=2))


@pytest.mark.parametrize("first", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("second", ["wav", "flac", "ogg"])
def test_a_file_of_another_kind_behind_a_sound_is_named(tmp_path: Path, first: str, second: str) -> None:
    for kind in {first, second}:
        soundfile.write(tmp_path / f"a.{kind}", tone(2.0), RATE)
    joined = tmp_path / f"joined.{first}"
    joined.write_bytes((tmp_path / f"a.{first}").read_bytes() + (tmp_path / f"a.{second}").read_bytes())
    findings: list[Finding] = []
    heard = read(joined, findings=findings).seconds
    if first == second:
        assert heard == pytest.approx(4.0, abs=0.03)
        assert not findings
    else:
        assert heard == pytest.approx(2.0, abs=0.03)
        assert [finding.reason for finding in findings] == [DAMAGED]


@pytest.mark.parametrize(("stated", "heard"), [(0, 2.0), (RATE, 2.0), (2**36 - 1, 2.0), (2**31, 2.0)])
def test_flac_is_read_to_its_end_whatever_number_of_samples_it_states(
    tmp_path: Path, stated: int, heard: float
) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(2.0), RATE)
    fields = int.from_bytes(path.read_bytes()[18:26]) >> 36 << 36 | stated
    assert seconds(overwritten(path, {18: fields.to_bytes(8)})) == heard


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.m4a", "aac"),
        ("a.webm", "libopus"),
        ("a.aac", "aac"),
        ("a.tta", "tta"),
        ("a.wv", "wavpack"),
        ("a.flv", "aac"),
    ],
)
def test_joined_files_of_ffmpeg_follow_each_other(tmp_path: Path, name: str, codec: str) -> None:
    encode_av(tmp_path / name, codec, tone(1.5, rate=48000)[None], rate=48000)
    once = seconds(tmp_path / name)
    (tmp_path / f"joined-{name}").write_bytes((tmp_path / name).read_bytes() * 2)
    assert seconds(tmp_path / f"joined-{name}") == pytest.approx(2 * once, abs=0.06)


def test_a_part_that_cannot_be_decoded_leaves_the_others(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "0.flac", tone(1.0), RATE)
    data = (tmp_path / "0.flac").read_bytes()
    broken = data[:42] + bytes(len(data) - 42)
    (tmp_path / "a.flac").write_bytes(data + broken + data)
    findings: list[Finding] = []
    assert read(tmp_path / "a.flac", findings=findings).seconds == pytest.approx(2.0)
    assert [finding.reason for finding in findings] == ["damaged"]


PLACEHOLDERS = [
    0,
    0x7FFFFFFF,
    0xFFFFFFFF,
    0x80000000,
    0x7FFFFF00,
    0x7FFFF000,
    0x7FFFFFFF - 36,
    0xFFFFFFFF - 44,
]


def wav_size(data: bytes, size: int) -> dict[int, bytes]:
    return {data.index(b"data") + 4: struct.pack("<I", size)}


def wav_sizes(data: bytes, size: int) -> dict[int, bytes]:
    return {4: struct.pack("<I", size), **wav_size(data, size)}


def rf64_sizes(data: bytes, size: int) -> dict[int, bytes]:
    return {
        place: struct.pack("<q", size - 2**32 if size > 2**32 - 2**16 else size) for place in (20, 28, 36)
    }


def aiff_sizes(data: bytes, size: int) -> dict[int, bytes]:
    places = (4, data.index(b"COMM") + 10, data.index(b"SSND") + 4)
    return {place: struct.pack(">I", size) for place in places}


def au_size(data: bytes, size: int) -> dict[int, bytes]:
    return {8: struct.pack(">I", size)}


def caf_size(data: bytes, size: int) -> dict[int, bytes]:
    return {data.index(b"data") + 4: struct.pack(">q", size - 2**32 if size > 2**32 - 2**16 else size)}


def w64_size(data: bytes, size: int) -> dict[int, bytes]:
    return {data.index(b"data\xf3\xac") + 16: struct.pack("<Q", size)}


@pytest.mark.parametrize("size", PLACEHOLDERS, ids=hex)
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("WAV", wav_size),
        ("WAV", wav_sizes),
        ("RF64", rf64_sizes),
        ("AIFF", aiff_sizes),
        ("AU", au_size),
        ("CAF", caf_size),
        ("W64", w64_size),
    ],
)
def test_a_placeholder_for_the_size_means_to_the_end_of_the_file(
    tmp_path: Path, kind: str, fields: Callable[[bytes, int], dict[int, bytes]], size: int
) -> None:
    path = tmp_path / "a"
    soundfile.write(path, tone(2.0), RATE, "PCM_16", format=kind)
    overwritten(path, fields(path.read_bytes(), size))
    findings: list[Finding] = []
    sound = read(path, findings=findings)
    assert (sound.seconds, findings) == (pytest.approx(2.0, abs=1e-3), [])
    np.testing.assert_allclose(sound.samples[0, -100:].numpy(), tone(2.0)[-100:], atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("WAV", wav_size), ("AIFF", aiff_sizes), ("AU", au_size), ("CAF", caf_size), ("W64", w64_size)],
)
def test_a_header_that_claims_more_than_there_is_names_what_it_claims(
    tmp_path: Path, kind: str, fields: Callable[[bytes, int], dict[int, bytes]]
) -> None:
    path = tmp_path / "a"
    soundfile.write(path, tone(2.0), RATE, "PCM_16", format=kind)
    overwritten(path, fields(path.read_bytes(), 60 * RATE * 2))
    with pytest.raises(TruncatedAudioError, match=r"2\.00 s decoded of (60\.0|59\.99)"):
        read(path)


def test_an_empty_sound_before_other_chunks_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(0), RATE)
    data = bytearray(path.read_bytes())
    data += b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"a program name"
    data[4:8] = struct.pack("<I", len(data) - 8)
    path.write_bytes(data)
    with pytest.raises(AudioError, match="no sound"):
        read(path)


def test_sound_behind_a_stale_size_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(3.0), RATE, "PCM_16")
    overwritten(path, wav_size(path.read_bytes(), 2 * RATE))
    findings: list[Finding] = []
    assert read(path, findings=findings).seconds == pytest.approx(1.0)
    assert "88200 bytes behind the sound" in findings[0].detail


def test_a_wrapped_size_of_a_file_above_4_gib_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    length = 2**32 + 3 * 88200
    with open(path, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", (length + 36) % 2**32) + b"WAVEfmt ")
        file.write(struct.pack("<IHHIIHH", 16, 1, 1, 44100, 88200, 2, 16))
        file.write(b"data" + struct.pack("<I", length % 2**32))
        file.truncate(44 + length)
    (part,) = parts_of(path)
    with part.opened() as opened, soundfile.SoundFile(opened) as file:
        assert file.frames == length // 2


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(seconds), RATE, "PCM_16", format="WAV")
    return file.getvalue()


def unknown(data: bytes) -> bytes:
    place = data.index(b"data") + 4
    return data[:place] + b"\xff\xff\xff\xff" + data[place + 4 :]


TEXTS = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"a program name"


@pytest.mark.parametrize(
    ("data", "length", "found"),
    [
        (unknown(wav(1.0)) + wav(2.0), 3.0, 0),
        (unknown(wav(1.0)) + unknown(wav(2.0)), 3.0, 0),
        (unknown(wav(1.0)) + TEXTS, 1.0, 0),
        (wav(1.0) + bytes(2) + wav(2.0), 3.0, 0),
        (wav(1.0)[: 44 + RATE] + wav(2.0), 2.5, 1),
        (b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10) + wav(1.0), 1.0, 0),
    ],
    ids=["unknown, known", "unknown twice", "texts behind", "padded joint", "cut, whole", "ID3 tag before"],
)
def test_no_header_is_heard_as_sound(tmp_path: Path, data: bytes, length: float, found: int) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    findings: list[Finding] = []
    sound = read(tmp_path / "a.wav", findings=findings)
    assert sound.seconds == pytest.approx(length, abs=1e-3)
    assert float(sound.samples.abs().max()) < 0.31
    assert [finding.reason for finding in findings] == ["damaged"] * found


def test_text_called_mp3_is_refused_without_a_word_of_the_decoder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp3").write_bytes(b"hello world " * 3000)
    with pytest.raises(AudioError):
        read(tmp_path / "a.mp3")
    assert capfd.readouterr().err == ""


def test_an_ogg_without_its_last_page_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 4 * RATE), RATE)
    data = path.read_bytes()
    path.write_bytes(data[: data.rfind(b"OggS")])
    findings: list[Finding] = []
    assert read(path, findings=findings).seconds < 4
    assert "the page that marks the end is missing" in findings[0].detail
