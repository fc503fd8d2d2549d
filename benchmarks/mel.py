"""The mel of a 10-second clip, on one thread of the CPU: ours, torch.stft with the whole bank, librosa."""

import numpy as np
import torch

from benchmarks.machine import Machine
from benchmarks.measure import Row, Way, row
from melgpt.audio.mel import analyse, mel_filterbank
from melgpt.types import Audio, MelScale

SECONDS = 10


def rows(machine: Machine, quick: bool) -> list[Row]:
    """One row."""
    scale = MelScale()
    samples = torch.randn(1, SECONDS * scale.rate) * 0.1
    bank, window = mel_filterbank(scale), torch.hann_window(scale.n_fft)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def plain() -> torch.Tensor:
        spectrum = torch.stft(samples, scale.n_fft, scale.hop, window=window, return_complex=True)
        mel = (bank @ spectrum.abs()).clamp(min=scale.floor)
        return ((mel.log10() - scale.low) / (scale.high - scale.low)).clamp(0, 1)

    ways: dict[str, Way] = {"plain": plain, "ours": lambda: analyse(Audio(samples, scale.rate), scale)}
    if (librosa := _librosa(samples[0].numpy(), scale)) is not None:
        ways["alternative"] = librosa
    frames = SECONDS * scale.frames_per_second
    try:
        limit = frames / machine.fft * machine.threads  # the limit was measured on all threads
        note = "alternative: librosa; limit: the transforms alone, one thread"
        return [row("mel of a 10 s clip, one thread", ways, 10 if quick else 40, limit=limit, note=note)]
    finally:
        torch.set_num_threads(threads)


def _librosa(samples: np.ndarray, scale: MelScale) -> Way | None:
    try:
        import librosa
    except ImportError:
        return None

    bank = librosa.filters.mel(
        sr=scale.rate, n_fft=scale.n_fft, n_mels=scale.n_mels, fmin=scale.f_min, fmax=scale.f_max
    )

    def work() -> np.ndarray:
        power = np.abs(librosa.stft(samples, n_fft=scale.n_fft, hop_length=scale.hop, pad_mode="reflect"))
        return np.clip(0.2 * np.log10(np.maximum(scale.floor, bank @ power)) + 0.8, 0, 1)

    return work
