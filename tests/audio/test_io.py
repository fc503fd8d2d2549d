"""Sound files in and out: formats, channels, rates, names, and damage that decoders hide."""

import resource
import signal
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from made_sounds import encode_av
from melgpt.audio.io import AudioError, Finding, TruncatedAudioError, read, resample, write
from melgpt.errors import UserError
from melgpt.types import Audio

RATE = 44100


def tone(seconds: float = 1.0, rate: int = RATE, hertz: float = 440.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * rate)).astype(np.float32)


def rms(samples: np.ndarray | torch.Tensor) -> float:
    values = np.asarray(samples)
    middle = values[..., values.shape[-1] // 4 : 3 * values.shape[-1] // 4]
    return float(np.sqrt(np.mean(np.square(middle))))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_wav_depth_reads_to_the_same_sound(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE, subtype=subtype)
    audio = read(tmp_path / "a.wav")
    assert audio.samples.shape == (1, RATE)
    assert audio.samples.dtype == torch.float32
    np.testing.assert_allclose(audio.samples[0], tone(), atol=1 / 120 if subtype == "PCM_U8" else 1e-4)


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000])
def test_any_rate_is_resampled_with_length_and_level_kept(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.flac", tone(rate=rate), rate)
    audio = read(tmp_path / "a.flac", rate=22050)
    assert audio.rate == 22050
    assert audio.samples.shape[-1] == pytest.approx(22050, abs=2)
    assert rms(audio.samples) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_equal_channels_average_to_the_level_of_one(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, np.stack([tone(), tone()], 1), RATE)
    assert rms(read(tmp_path / name).samples) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


def test_of_channels_that_cancel_each_other_the_loudest_is_taken(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), -1.01 * tone()], 1), RATE)
    findings: list[Finding] = []
    sound = read(tmp_path / "a.wav", findings=findings)
    np.testing.assert_allclose(sound.samples[0].numpy(), -1.01 * tone(), atol=1e-4)
    assert [finding.reason for finding in findings] == ["channels cancel"]


def test_where_channels_cancel_for_a_while_one_is_taken_for_that_long(tmp_path: Path) -> None:
    left = tone(5.0)
    right = 0.9 * left
    right[RATE : 2 * RATE] *= -1
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE)
    findings: list[Finding] = []
    sound = read(tmp_path / "a.wav", findings=findings).samples[0]
    for second in range(5):
        assert rms(sound[second * RATE : (second + 1) * RATE]) == pytest.approx(0.35, abs=0.03)
    assert [finding.detail for finding in findings] == ["for 1.0 s, where the loudest one is taken"]


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize("hertz", [0, 12])
def test_an_offset_or_a_rumble_does_not_hide_that_channels_cancel(
    tmp_path: Path, hertz: int, common: bool
) -> None:
    unheard = 0.2 * np.cos(2 * np.pi * hertz * np.arange(2 * RATE) / RATE)
    left, right = tone(2.0) + unheard, -tone(2.0) + (unheard if common else -unheard)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE)
    findings: list[Finding] = []
    sound = read(tmp_path / "a.wav", findings=findings).samples[0].numpy()
    assert float(np.diff(sound).std()) == pytest.approx(float(np.diff(tone(2.0)).std()), rel=0.1)
    assert [finding.reason for finding in findings] == ["channels cancel"]


def test_wide_stereo_is_no_cancellation(tmp_path: Path) -> None:
    channels = np.stack([noise(2.0), np.random.default_rng(9).normal(0, 0.1, 2 * RATE)], 1)
    soundfile.write(tmp_path / "a.wav", channels, RATE)
    findings: list[Finding] = []
    read(tmp_path / "a.wav", findings=findings)
    assert findings == []


@pytest.mark.parametrize(
    ("name", "codec", "video"),
    [
        ("a.m4a", "aac", ""),
        ("a.mp4", "aac", "mpeg4"),
        ("a.mov", "aac", "mpeg4"),
        ("a.mkv", "libopus", "mpeg4"),
        ("a.webm", "libopus", "libvpx"),
        ("a.wma", "wmav2", ""),
        ("a.opus", "libopus", ""),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_of_video_and_m4a_keeps_level_and_length(
    tmp_path: Path, name: str, codec: str, video: str, channels: int
) -> None:
    rate = 48000 if codec == "libopus" else RATE
    given = np.stack([tone(rate=rate)] * channels)
    audio = read(encode_av(tmp_path / name, codec, given, video=video, rate=rate))
    assert audio.rate == rate
    assert audio.seconds == pytest.approx(1.0, abs=0.1)
    assert rms(audio.samples) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(
    "name", ["with spaces.wav", "собака лает.wav", "犬の声.flac", "ñandú é.ogg", "🐕.m4a"]
)
def test_names_with_spaces_and_any_script_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "Папка с пробелами" / name
    path.parent.mkdir()
    if path.suffix == ".m4a":
        encode_av(path, "aac", tone()[None], rate=RATE)
    else:
        soundfile.write(path, tone(), RATE)
    assert read(path).seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"])
def test_truncated_wav_is_refused_with_both_lengths(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(2.0), RATE, subtype=subtype)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(TruncatedAudioError, match=r"\.\d+ s decoded of 2\.0\d s"):
        read(path)


def test_wav_written_to_a_pipe_has_no_length_to_be_held_against(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(1.0), RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert read(path).seconds == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.m4a", "a.aiff"])
def test_file_cut_in_half_is_not_taken_for_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.m4a":
        encode_av(path, "aac", noise(4.0)[None], rate=RATE)
    else:
        soundfile.write(path, noise(4.0), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError):
        read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.wav", b""),
        ("text.wav", b"this is a letter, not a sound\n" * 40),
        ("zeros.mp3", bytes(4096)),
        ("zeros.ogg", bytes(4096)),
        ("header only.wav", b"RIFF\x24\0\0\0WAVE"),
        ("text.mp4", b"hello"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_wav_without_a_sample_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), RATE)
    with pytest.raises(AudioError, match="no sound"):
        read(tmp_path / "a.wav")


def test_video_without_sound_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match="holds no sound"):
        read(tmp_path / "a.mp4")


def test_samples_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    samples = tone()
    samples[100] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        read(tmp_path / "a.wav")


def test_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing.wav"):
        read(tmp_path / "nothing.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_written_sound_reads_back(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, Audio(torch.from_numpy(tone())[None], RATE))
    audio = read(tmp_path / name)
    assert audio.samples.shape == (1, RATE)
    np.testing.assert_allclose(audio.samples[0], tone(), atol=0.05 if name == "a.ogg" else 1e-4)


def test_unknown_suffix_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.wav"):
        write(tmp_path / "a.xyz", Audio(torch.zeros(1, 10), RATE))
    assert list(tmp_path.iterdir()) == []


def test_resampling_to_the_same_rate_changes_nothing() -> None:
    audio = Audio(torch.from_numpy(tone())[None], RATE)
    assert resample(audio, RATE) is audio


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    # The system itself refuses what goes beyond this size, as it does on a full disk.
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write(tmp_path / "long.wav", Audio(torch.zeros(1, 50_000), 22050))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(tmp_path.iterdir())
