"""What every registered vocoder must do."""

import pytest
import torch
from torch import Tensor, nn

from melgpt.registry import KINDS, build, configure
from melgpt.types import PRESETS, MelScale
from melgpt.vocoders.base import Vocoder

FRAMES = 9


@pytest.fixture(params=sorted(PRESETS))
def scale(request: pytest.FixtureRequest) -> MelScale:
    return MelScale.preset(request.param)


@pytest.fixture(params=sorted(KINDS["vocoder"]))
def vocoder(request: pytest.FixtureRequest, scale: MelScale) -> nn.Module:
    config = configure("vocoder", {"kind": request.param, "mel": scale.plain()})
    return build("vocoder", config).eval()


@pytest.fixture
def mel(scale: MelScale) -> Tensor:
    return torch.rand(2, scale.n_mels, FRAMES, generator=torch.Generator().manual_seed(1))


def test_a_frame_becomes_one_hop_of_sound_in_range(vocoder: nn.Module, mel: Tensor, scale: MelScale) -> None:
    samples = vocoder(mel)
    assert samples.shape == (2, FRAMES * scale.hop)
    assert samples.dtype == torch.float32
    assert samples.abs().max() <= 1
    assert samples.std() > 0


def test_it_says_what_it_can_do(vocoder: Vocoder, mel: Tensor, scale: MelScale) -> None:
    assert isinstance(vocoder, Vocoder)
    assert vocoder.reach is None or vocoder.reach > 0
    if vocoder.takes_past:
        past = vocoder(mel)[:, : 4 * scale.hop]
        assert vocoder(mel, past=past).shape == (2, FRAMES * scale.hop)
    else:
        with pytest.raises(TypeError):
            vocoder(mel, past=mel)


def test_one_frame_is_enough(vocoder: nn.Module, mel: Tensor, scale: MelScale) -> None:
    samples = vocoder(mel[..., :1])
    assert samples.shape == (2, scale.hop)
    assert samples.isfinite().all()


def test_the_same_seed_gives_the_same_bytes(vocoder: nn.Module, mel: Tensor) -> None:
    first, again = (vocoder(mel, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(vocoder(mel), vocoder(mel))


def test_a_clip_does_not_depend_on_its_batch(vocoder: nn.Module, mel: Tensor) -> None:
    # Rounding grows where phases are found step by step, in the softest bins most.
    assert float((vocoder(mel)[1:] - vocoder(mel[1:])).detach().abs().mean()) < 1e-3


def test_the_scale_is_the_configured_one(vocoder: nn.Module, scale: MelScale) -> None:
    assert vocoder.scale == scale == vocoder.config.mel
    assert configure("vocoder", vocoder.config.plain()) == vocoder.config


def test_gradients_reach_every_weight_where_there_is_something_to_train(
    vocoder: nn.Module, mel: Tensor
) -> None:
    weights = list(vocoder.parameters())
    assert vocoder.trainable == bool(weights)
    if vocoder.trainable:
        vocoder(mel).square().mean().backward()
        assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in weights)
