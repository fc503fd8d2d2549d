"""Where a sound ends by its header and where it ends in truth, and what lies behind."""

import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from made_sounds import encode_av
from melgpt.audio.io import DAMAGED, AudioError, Finding, TruncatedAudioError, read

RATE = 22050
TAG = b"ID3\x03\0\0\0\0\0\x0a" + bytes(10)


def written(path: Path, seconds: float = 2.0, channels: int = 1, **options: str) -> bytes:
    samples = 0.2 * np.random.default_rng(0).standard_normal((round(seconds * RATE), channels))
    soundfile.write(path, samples.clip(-1, 1), RATE, **options)
    return path.read_bytes()


def encoded(path: Path, codec: str, seconds: float = 2.0) -> bytes:
    samples = 0.2 * np.random.default_rng(0).standard_normal((1, round(seconds * 44100)))
    return encode_av(path, codec, samples.clip(-1, 1).astype(np.float32), rate=44100).read_bytes()


def heard(path: Path, data: bytes) -> tuple[float, list[str]]:
    path.write_bytes(data)
    findings: list[Finding] = []
    return read(path, findings=findings).seconds, [finding.reason for finding in findings]


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.15, 0.3, 2.0])
@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".au"])
def test_half_of_a_sound_is_truncated_however_short_it_is(
    tmp_path: Path, suffix: str, seconds: float
) -> None:
    path = tmp_path / f"a{suffix}"
    data = written(path, seconds)
    path.write_bytes(data[: -round(RATE * seconds)])
    with pytest.raises(TruncatedAudioError, match="truncated"):
        read(path)


def test_a_size_that_counts_its_header_is_no_damage(tmp_path: Path) -> None:
    data = written(tmp_path / "a.wav")
    seconds, found = heard(tmp_path / "b.wav", data[:40] + struct.pack("<I", len(data) - 8) + data[44:])
    assert (seconds, found) == (2.0, [])


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".flac"])
def test_a_tag_in_front_hides_nothing(tmp_path: Path, suffix: str) -> None:
    data = written(tmp_path / f"a{suffix}")
    assert heard(tmp_path / f"b{suffix}", TAG + data) == (2.0, [])
    with pytest.raises(TruncatedAudioError):
        heard(tmp_path / f"c{suffix}", TAG + data[: len(data) // 2])


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_tag_in_front_and_an_unknown_size(tmp_path: Path, size: int) -> None:
    data = bytearray(written(tmp_path / "a.wav"))
    data[40:44] = struct.pack("<I", size)
    assert heard(tmp_path / "b.wav", TAG + bytes(data)) == (2.0, [])


@pytest.mark.parametrize("first", ["a.m4a", "a.mka", "a.caf", "a.w64", "a.mp3"])
@pytest.mark.parametrize("second", ["b.wav", "b.ogg"])
def test_a_wav_or_ogg_file_behind_any_other_is_named(tmp_path: Path, first: str, second: str) -> None:
    path = tmp_path / first
    data = encoded(path, "aac") if first in ("a.m4a", "a.mka") else written(path)
    seconds, found = heard(path, TAG * (first == "a.mp3") + data + written(tmp_path / second))
    assert seconds == pytest.approx(2.0, abs=0.06)  # encoders pad
    assert found == [DAMAGED]


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".au", ".caf", ".w64", ".flac"])
def test_what_a_killed_recorder_left_is_read_to_its_end(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    code = (
        "import os, sys, numpy, soundfile\n"
        "file = soundfile.SoundFile(sys.argv[1], 'w', 22050, 1)\n"
        "file.write(0.1 * numpy.random.default_rng(0).standard_normal(22050 * 3))\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert read(path).seconds == pytest.approx(3.0, abs=0.3)


@pytest.mark.parametrize("size", [8, 0x7F000000, 0x7F000008])
@pytest.mark.parametrize(("channels", "subtype"), [(1, "PCM_16"), (2, "PCM_24")])
def test_aiff_of_unknown_size_is_read_to_its_end(
    tmp_path: Path, size: int, channels: int, subtype: str
) -> None:
    data = bytearray(written(tmp_path / "a.aiff", channels=channels, subtype=subtype))
    place, common = data.index(b"SSND") + 4, data.index(b"COMM") + 10
    data[place : place + 4], data[common : common + 4] = struct.pack(">I", size), bytes(4)
    assert heard(tmp_path / "b.aiff", bytes(data)) == (2.0, [])


def test_a_cut_fragmented_mp4_and_a_cut_avi_are_truncated(tmp_path: Path) -> None:
    samples = 0.2 * np.random.default_rng(0).standard_normal((1, 44100 * 4)).clip(-1, 1)
    options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}
    with av.open(str(tmp_path / "a.mp4"), "w", options=options) as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux([*stream.encode(frame), *stream.encode(None)])
    encoded(tmp_path / "a.avi", "libmp3lame")
    for name in ("a.mp4", "a.avi"):
        data = (tmp_path / name).read_bytes()
        with pytest.raises(TruncatedAudioError):
            heard(tmp_path / f"half-{name}", data[: len(data) // 2])


def test_a_second_piece_of_sound_in_a_wav_is_named(tmp_path: Path) -> None:
    data = written(tmp_path / "a.wav")
    both = bytearray(data + data[36:])
    both[4:8] = struct.pack("<I", len(both) - 8)
    assert heard(tmp_path / "b.wav", bytes(both)) == (2.0, [DAMAGED])


@pytest.mark.parametrize("rate", [1, 50, 0x7FFFFFFF])
def test_an_impossible_rate_is_named(tmp_path: Path, rate: int) -> None:
    data = bytearray(written(tmp_path / "a.wav"))
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(AudioError, match="no rate of a sound"):
        heard(tmp_path / "b.wav", bytes(data))


def test_a_hole_in_an_mp3_with_a_length_costs_the_hole_alone(tmp_path: Path) -> None:
    data = bytearray(encoded(tmp_path / "a.mp3", "libmp3lame", 30.0))
    third = len(data) // 3
    data[third : third + len(data) // 8] = bytes(len(data) // 8)
    seconds, found = heard(tmp_path / "b.mp3", bytes(data))
    assert 22 < seconds < 28
    assert found == [DAMAGED]
