"""Damage in the middle costs what is damaged, a guessed length costs nothing, and both are told."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from made_sounds import encode_av
from melgpt.audio.io import AudioError, Finding, TruncatedAudioError, read

RATE = 44100


def noise(seconds: float, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, level, round(seconds * RATE)).astype(np.float32)


def mp3(path: Path, samples: np.ndarray, *, xing: bool, cover: bool = False) -> Path:
    """Variable bit rate, with or without a header that states the length and a picture."""
    with av.open(str(path), "w", options={"write_xing": str(int(xing))}) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
        stream.options = {"compression_level": "2"}
        stream.codec_context.flags |= av.codec.context.Flags.qscale
        stream.codec_context.global_quality = 2 * 118
        if cover:
            picture = container.add_stream("png", width=300, height=300, pix_fmt="rgb24")
            picture.disposition = av.stream.Disposition.attached_pic
            image = np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)
            packets = picture.encode(av.VideoFrame.from_ndarray(image))
            container.mux([*packets, *picture.encode(None)])
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def test_an_mp3_without_a_length_is_not_cut_at_a_guess(tmp_path: Path) -> None:
    loud_then_quiet = np.concatenate([noise(2.0, 0.3), noise(10.0, 5e-4)])
    path = mp3(tmp_path / "a.mp3", loud_then_quiet, xing=False)
    assert read(path).seconds == pytest.approx(12.0, abs=0.1)


def test_an_mp3_without_a_length_may_carry_a_picture(tmp_path: Path) -> None:
    path = mp3(tmp_path / "a.mp3", noise(3.0), xing=False, cover=True)
    with av.open(str(path)) as container:
        assert container.streams.video
    assert read(path).seconds == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("cover", [False, True])
def test_an_mp3_that_states_its_length_gives_it_to_the_sample(tmp_path: Path, cover: bool) -> None:
    path = mp3(tmp_path / "a.mp3", noise(3.0), xing=True, cover=cover)
    assert read(path).samples.shape[-1] == 3 * RATE


def test_an_mp3_that_ends_before_its_stated_length_is_truncated(tmp_path: Path) -> None:
    path = mp3(tmp_path / "a.mp3", noise(3.0), xing=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(TruncatedAudioError, match=r"of 3\.00 s in its header"):
        read(path)


@pytest.mark.parametrize(
    ("name", "subtype", "least"),
    [
        ("a.flac", "PCM_16", 5.5),
        ("a.ogg", "VORBIS", 4.5),
        ("a.opus", "OPUS", 3.0),
        ("a.mp3", "MPEG_LAYER_III", 5.5),
    ],
)
def test_damage_in_the_middle_leaves_the_rest(
    tmp_path: Path, name: str, subtype: str, least: float, capfd: pytest.CaptureFixture[str]
) -> None:
    rate = 48000 if name == "a.opus" else RATE
    path = tmp_path / name
    tone = (
        0.3 * np.sin(np.arange(6 * rate) * 2 * np.pi * 440 / rate) + 0.01 * noise(6 * rate / RATE)[: 6 * rate]
    )
    soundfile.write(path, tone, rate, subtype, format="OGG" if name == "a.opus" else None)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(1).bytes(300)
    path.write_bytes(data)
    findings: list[Finding] = []
    sound = read(path, findings=findings)
    assert least < sound.seconds <= 6.1
    assert float(sound.samples[0, -rate:].abs().mean()) > 0.1
    assert [finding.reason for finding in findings] == ["damaged"]
    assert capfd.readouterr().err == ""


def test_damage_behind_the_first_block_is_passed_over_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melgpt.audio.decoding.libsndfile.BLOCK", RATE)
    path = tmp_path / "a.flac"
    samples = noise(6.0)
    soundfile.write(path, samples, RATE)
    data = bytearray(path.read_bytes())
    place = 3 * len(data) // 4
    data[place : place + 2000] = bytes(2000)
    path.write_bytes(data)
    sound = read(path).samples[0].numpy()
    assert 5.5 * RATE < len(sound) < 6 * RATE
    np.testing.assert_allclose(sound[: 4 * RATE], samples[: 4 * RATE], atol=1e-4)
    np.testing.assert_allclose(sound[-RATE:], samples[-RATE:], atol=1e-4)


def test_of_several_sound_streams_the_default_one_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.mka"
    with av.open(str(path), "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        streams[1].disposition = av.stream.Disposition.default
        for stream, level in zip(streams, (0.05, 0.3), strict=True):
            samples = (noise(1.0, level)[None] * 32767).clip(-32768, 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate = RATE
            container.mux([*stream.encode(frame), *stream.encode(None)])
    assert float(read(path).samples.std()) == pytest.approx(0.3, rel=0.1)


def test_one_stereo_frame_among_mono_ones_does_not_end_the_sound(tmp_path: Path) -> None:
    for number, channels in enumerate((1, 2, 1)):
        encode_av(tmp_path / f"{number}.aac", "aac", np.stack([noise(1.0)] * channels), rate=RATE)
    joined = tmp_path / "a.aac"
    joined.write_bytes(b"".join((tmp_path / f"{number}.aac").read_bytes() for number in range(3)))
    assert read(joined).seconds == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize(("suffix", "mark"), [("wav", b"RIFF"), ("aiff", b"FORM")])
def test_joined_file_that_ends_inside_its_header_costs_itself_alone(
    tmp_path: Path, suffix: str, mark: bytes
) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(0.5), RATE)
    path.write_bytes(path.read_bytes() + mark + b"\x01")
    findings: list[Finding] = []
    assert read(path, findings=findings).seconds == 0.5
    assert [finding.detail.startswith("part 2 of 2: ") for finding in findings] == [True]


def test_mp3_that_ends_inside_its_xing_header_is_refused(tmp_path: Path) -> None:
    path = mp3(tmp_path / "a.mp3", noise(1.0), xing=True)
    content = path.read_bytes()
    path.write_bytes(content[: max(content.find(b"Xing"), content.find(b"Info")) + 6])
    with pytest.raises(AudioError, match="not a readable sound file"):
        read(path)


def test_rf64_that_ends_inside_its_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVEds64\x1c\x00\x00\x00" + bytes(8))
    with pytest.raises(AudioError, match="not a readable sound file"):
        read(path)
