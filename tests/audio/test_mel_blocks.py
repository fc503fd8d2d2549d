"""The mel of a sound in blocks is that of the whole."""

import pytest
import torch

from melgpt.audio.mel import analyse
from melgpt.audio.mel_blocks import analyse_blocks
from melgpt.types import PRESETS, Audio, MelScale


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("block", [1, 700, 7777, 100_000])
@pytest.mark.parametrize("seconds", [0.02, 0.19, 0.3, 2.6])
def test_blocks_of_any_size_give_the_very_frames(preset: str, block: int, seconds: float) -> None:
    scale = MelScale.preset(preset)
    length = round(seconds * scale.rate)
    block = max(block, length // 50)
    samples = torch.randn(1, length) * torch.linspace(0, 0.3, length)
    pieces = (Audio(part, scale.rate) for part in samples.split(block, dim=-1))
    found = torch.cat(list(analyse_blocks(pieces, scale)), dim=-1)
    assert torch.equal(found, analyse(Audio(samples, scale.rate), scale).values)


def test_little_of_a_long_sound_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    from melgpt.audio import mel_blocks

    analysed: list[int] = []

    def measured(audio: Audio, scale: MelScale) -> object:
        analysed.append(audio.samples.shape[-1])
        return analyse(audio, scale)

    monkeypatch.setattr(mel_blocks, "analyse", measured)
    blocks = (Audio(torch.rand(1, 10_000), 22050) for _ in range(100))
    assert sum(mel.shape[-1] for mel in analyse_blocks(blocks, MelScale())) > 3900
    assert max(analysed) < 13_000
