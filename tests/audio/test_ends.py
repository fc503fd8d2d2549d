"""Ends and levels of new sounds."""

import torch

from melgpt import Audio
from melgpt.audio.ends import audible_frames, with_headroom
from melgpt.types import MelScale

SCALE = MelScale()


def ending(frames: int, below_db: float) -> torch.Tensor:
    """A mel [1, 80, 32] whose frames from `frames` on are so far below the others."""
    mel = torch.full((1, 80, 32), 0.8)
    mel[..., frames:] -= -SCALE.gain(-below_db)
    return mel


def test_a_sound_ends_with_its_last_audible_frame() -> None:
    assert audible_frames(ending(20, 61), SCALE) == 20
    assert audible_frames(ending(20, 59), SCALE) == 32


def test_one_band_is_enough_to_be_heard() -> None:
    mel = ending(20, 70)
    mel[0, 7, 25] = 0.7
    assert audible_frames(mel, SCALE) == 26


def test_silence_has_a_length() -> None:
    assert audible_frames(torch.zeros(1, 80, 32), SCALE) >= 1


def test_a_loud_sound_gets_headroom_and_a_soft_one_stays() -> None:
    loud, soft = Audio(torch.tensor([[0.5, -2.0]]), 22050), Audio(torch.tensor([[0.5, -0.2]]), 22050)
    assert torch.allclose(with_headroom(loud).samples.abs().max(), torch.tensor(10 ** (-1 / 20)))
    assert torch.allclose(
        with_headroom(loud).samples[0, 0] / with_headroom(loud).samples[0, 1], torch.tensor(-0.25)
    )
    assert with_headroom(soft).samples is soft.samples


def test_silence_and_no_samples_get_no_headroom() -> None:
    assert with_headroom(Audio(torch.zeros(1, 0), 22050)).samples.shape == (1, 0)
    assert not with_headroom(Audio(torch.zeros(1, 10), 22050)).samples.any()
