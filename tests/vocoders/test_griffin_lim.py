"""The vocoder without weights gives back a sound with the mel that it was given."""

from pathlib import Path

import pytest
import torch

from melgpt.audio.io import read
from melgpt.audio.mel import analyse
from melgpt.errors import UserError
from melgpt.types import PRESETS, Audio, MelScale
from melgpt.vocoders.griffin_lim import GriffinLim, GriffinLimConfig


def sweep(rate: int, seconds: float = 1.5) -> Audio:
    time = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    phase = 2 * torch.pi * (200 * time + 1900 * time**2)  # 200 Hz rising by 3800 Hz a second
    return Audio((0.3 * torch.sin(phase)).float().unsqueeze(0), rate)


def distance(vocoder: GriffinLim, audio: Audio) -> float:
    """Mean difference of the mel and of the re-analysed sound's mel."""
    mel = analyse(audio, vocoder.scale).values
    again = analyse(Audio(vocoder(mel), vocoder.scale.rate), vocoder.scale).values
    return float((again - mel[..., : again.shape[-1]]).abs().mean())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_mel_of_a_sweep_survives(preset: str) -> None:
    scale = MelScale.preset(preset)
    # The mel of Vocos tells sounds apart that lie 100 times as deep.
    most = 0.03 if preset == "vocos" else 0.02
    assert distance(GriffinLim(GriffinLimConfig(mel=scale)), sweep(scale.rate)) < most


def test_the_mel_of_real_sounds_survives(esc10: Path) -> None:
    vocoder = GriffinLim(GriffinLimConfig())
    for folder in sorted(p for p in esc10.iterdir() if p.is_dir())[::3]:
        audio = read(sorted(folder.glob("*.ogg"))[0], vocoder.scale.rate)
        assert distance(vocoder, audio) < 0.012, folder.name


def test_momentum_and_the_non_negative_fit_both_help() -> None:
    audio = sweep(22050)
    best = distance(GriffinLim(GriffinLimConfig()), audio)
    assert best < distance(GriffinLim(GriffinLimConfig(momentum=0.0)), audio)
    assert best < distance(GriffinLim(GriffinLimConfig(inversion="pinv")), audio)


def test_zero_is_silence() -> None:
    vocoder = GriffinLim(GriffinLimConfig())
    assert not vocoder(torch.zeros(1, 80, 30)).any()
    half = torch.full((1, 80, 30), 0.5)
    half[..., 15:] = 0
    samples = vocoder(half)[0]
    assert samples[: 10 * 256].std() > 1e-3
    assert samples[18 * 256 :].abs().max() < 1e-6


def test_a_click_stays_where_it_was() -> None:
    scale = MelScale()
    samples = torch.zeros(1, 40 * scale.hop)
    samples[0, 20 * scale.hop] = 0.9
    made = GriffinLim(GriffinLimConfig())(analyse(Audio(samples, scale.rate), scale).values)
    energy = made[0].square()
    centre = (energy * torch.arange(len(energy))).sum() / energy.sum()
    assert abs(float(centre) - 20 * scale.hop) < scale.hop / 2


def test_another_seed_starts_from_other_phases() -> None:
    mel = torch.full((1, 80, 12), 0.5)
    first, second = (GriffinLim(GriffinLimConfig(seed=seed))(mel) for seed in (0, 1))
    assert not torch.allclose(first, second, atol=1e-3)


def test_wrong_options_and_wrong_bands_are_refused() -> None:
    with pytest.raises(UserError, match="iterations"):
        GriffinLimConfig.parse({"iterations": 0})
    with pytest.raises(ValueError, match="80"):
        GriffinLim(GriffinLimConfig())(torch.zeros(1, 64, 10))
