"""The mel equals the same chain in float64, on signals where float32 transforms would not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt
from torch import Tensor

from melgpt.audio import mel as module
from melgpt.audio.io import read
from melgpt.audio.mel import analyse, frame_count, mel_filterbank
from melgpt.errors import UserError
from melgpt.types import PRESETS, Audio, MelScale

TOLERANCE = 1e-5
SECONDS = 3


def exact(samples: Tensor, scale: MelScale) -> Tensor:
    """Samples [B, T] → values [B, F, N]: the definition, all of it in float64."""
    window = torch.hann_window(scale.n_fft, dtype=torch.float64)
    spectrum = torch.stft(samples.double(), scale.n_fft, scale.hop, window=window, return_complex=True)
    magnitudes = mel_filterbank(scale).double() @ spectrum.abs()
    log = torch.log10 if scale.log == "log10" else torch.log
    values = (log(magnitudes.clamp(min=scale.floor)) - scale.low) / (scale.high - scale.low)
    return values.clamp(0, 1)[..., : frame_count(samples.shape[-1], scale)]


def signals(rate: int) -> dict[str, np.ndarray]:
    time = np.arange(SECONDS * rate) / rate
    noise = np.random.default_rng(0).standard_normal(len(time))
    low = sosfilt(butter(10, 0.2, output="sos"), noise)
    chirp = np.sin(2 * np.pi * 200 * (np.exp(time) - 1))
    return {
        "noise": 0.1 * noise,
        "tone": 0.9 * np.sin(2 * np.pi * 1234.5 * time),
        "tone above noise of -90 dB": 0.9 * np.sin(2 * np.pi * 1234.5 * time) + 10**-4.5 * noise,
        "low tone above noise of -70 dB": 0.9 * np.sin(2 * np.pi * 60 * time) + 10**-3.5 * noise,
        "low-passed": 0.3 * low / np.abs(low).max(),
        "16 bits": np.round(32767 * 0.5 * chirp) / 32768,
        "chirp": 0.9 * chirp,
        "clicks": (np.arange(len(time)) % 5000 == 0).astype(float),
        "far too loud": 30 * np.sin(2 * np.pi * 1234.5 * time) + 1e-3 * noise,
        "silence": np.zeros(len(time)),
    }


@pytest.fixture(params=[True, False])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once with the kernels, where they can be had, and once without."""
    if not request.param:
        monkeypatch.setattr(module, "find_kernels", lambda: None)
    elif module.find_kernels() is None:
        pytest.skip("no C compiler here")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", signals(100))
def test_values_are_those_of_the_chain_in_float64(name: str, preset: str, compiled: None) -> None:
    scale = MelScale.preset(preset)
    samples = torch.from_numpy(signals(scale.rate)[name]).float()[None]
    values = analyse(Audio(samples, scale.rate), scale).values
    assert (values - exact(samples, scale)).abs().max() <= TOLERANCE


def test_the_tolerance_needs_frames_in_float64(compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUNDING", 0.0)
    monkeypatch.setattr(module, "_tables_of_kernels", module._tables_of_kernels.__wrapped__)
    scale = MelScale()
    samples = torch.from_numpy(signals(scale.rate)["chirp"]).float()[None]
    values = analyse(Audio(samples, scale.rate), scale).values
    assert (values - exact(samples, scale)).abs().max() > TOLERANCE


def test_values_of_real_clips_are_those_of_the_chain_in_float64(esc10: Path, compiled: None) -> None:
    scale = MelScale()
    for path in sorted(esc10.glob("*/*.ogg"))[::25]:
        audio = read(path, scale.rate)
        values = analyse(audio, scale).values
        assert (values - exact(audio.samples, scale)).abs().max() <= TOLERANCE, path.name


def test_a_clip_does_not_depend_on_its_batch_and_a_long_one_has_no_seams() -> None:
    scale = MelScale()
    samples = 0.1 * torch.randn(2, 12 * scale.rate, generator=torch.Generator().manual_seed(1))
    both = analyse(Audio(samples, scale.rate), scale).values
    assert both.shape == (2, scale.n_mels, frame_count(samples.shape[1], scale))
    assert torch.equal(both[1:], analyse(Audio(samples[1:], scale.rate), scale).values)
    assert (both - exact(samples, scale)).abs().max() <= TOLERANCE


@pytest.mark.parametrize("length", [0, 1, 255, 256, 257, 513, 1023, 2205, 4409])
def test_one_shots_are_analysed_to_their_end(length: int) -> None:
    scale = MelScale()
    samples = 0.1 * torch.ones(1, length)
    padded = torch.nn.functional.pad(samples, (0, 5000))
    values = analyse(Audio(samples, scale.rate), scale).values
    frames = max(1, -(-length // scale.hop))
    assert values.shape[-1] == frame_count(length, scale) == frames
    assert (values - exact(padded, scale)[..., :frames]).abs().max() <= TOLERANCE


@pytest.mark.parametrize(("length", "frames"), [(4410, 16), (110250, 429), (220500, 860)])
def test_of_longer_sounds_no_window_reaches_past_the_end(length: int, frames: int) -> None:
    assert frame_count(length, MelScale()) == frames


def test_another_rate_is_refused() -> None:
    with pytest.raises(UserError, match="resample it first"):
        analyse(Audio(torch.zeros(1, 1000), 8000), MelScale())
