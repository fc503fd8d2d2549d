"""The mel is the originals': their inputs, their outputs."""

from pathlib import Path

import pytest
import torch

from melgpt.audio.mel import analyse, magnitudes, mel_filterbank
from melgpt.types import Audio, MelScale

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def stored(golden: Path) -> dict:
    return torch.load(golden / "mel_spectrogram.pt", weights_only=True)


@pytest.fixture(scope="module")
def scale(stored: dict) -> MelScale:
    config = stored["config"]
    return MelScale(
        rate=config["sample_rate"],
        n_fft=config["n_fft"],
        hop=config["hop"],
        n_mels=config["n_mels"],
        f_min=config["fmin"],
        f_max=config["fmax"],
        floor=config["floor"],
    )


def test_the_default_scale_is_the_originals(scale: MelScale) -> None:
    assert scale == MelScale.preset("specvqgan")


def test_mels_equal_the_originals(stored: dict, scale: MelScale) -> None:
    length = stored["inputs"]["pad_short_with_zeros_to"]
    for name, wave in stored["inputs"]["wave_int16"].items():
        samples = torch.zeros(1, length)
        samples[0, : len(wave)] = wave.float()[:length] / 32768
        values = analyse(Audio(samples, scale.rate), scale).values[0]
        expected = stored["outputs"]["mel"][name].float()
        assert values.shape[-1] == stored["config"]["frames"]
        assert (values[:, : expected.shape[-1]] - expected).abs().max() <= TOLERANCE, name
        assert (values[:, expected.shape[-1] :] <= TOLERANCE).all(), name


def test_the_filter_bank_equals_the_originals(stored: dict, scale: MelScale) -> None:
    sparse = stored["outputs"]["mel_basis_nonzero"]
    expected = torch.zeros(*sparse["shape"])
    expected[sparse["rows"].long(), sparse["cols"].long()] = sparse["values"]
    assert torch.allclose(mel_filterbank(scale), expected, atol=1e-8, rtol=1e-5)


def test_the_inverse_chain_equals_the_originals(stored: dict, scale: MelScale) -> None:
    expected = stored["outputs"]["inverse_chain_before_griffin_lim_real_first_64"]
    mel = stored["outputs"]["mel"]["real"][:, : expected.shape[-1]]
    assert torch.allclose(magnitudes(mel, scale), expected, rtol=1e-4, atol=1e-7)
