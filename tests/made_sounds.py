"""Seeded sounds for the tests of data sets: noise bursts with silence between, no two alike."""

from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 22050
Sound = NDArray[np.float32]


def sound(seed: int, seconds: float = 1.0) -> Sound:
    """Bursts of band-limited noise, [T] with a peak of 0.5; another seed is another sound."""
    random = np.random.default_rng(seed)
    samples = random.normal(size=round(seconds * RATE))
    length = random.integers(2, 30)
    samples = np.convolve(samples, np.hanning(length + 2)[1:-1], "same")
    gates = np.repeat(random.uniform(0, 1, round(seconds * 16) + 1) ** 2, RATE // 16 + 1)[: len(samples)]
    samples = samples * gates
    return (0.5 * samples / np.abs(samples).max()).astype(np.float32)


def save(path: Path, samples: Sound, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def encode_av(path: Path, codec: str, samples: np.ndarray, *, video: str = "", rate: int) -> Path:
    """samples [channels, T] through FFmpeg's libraries; with `video`, one second of grey pictures beside."""
    with av.open(str(path), "w") as container:
        layout = "mono" if len(samples) == 1 else "stereo"
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 128_000
        pictures = (
            container.add_stream(video, rate=10, width=64, height=64, pix_fmt="yuv420p") if video else None
        )
        if pictures:
            for _ in range(10):
                container.mux(
                    pictures.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8)))
                )
            container.mux(pictures.encode(None))
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            stream.format, layout, stream.rate, frame_size=stream.frame_size or None
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path
