"""The frames of a video as a prefix, alone and with the class."""

import numpy as np
import pytest
import torch

from melgpt.conditioning.frames import Frames, FramesClass, FramesClassConfig, FramesConfig, resample
from melgpt.errors import UserError

SIZES = {"frames": 3, "depth": 5, "span": 8}
LABELS, WIDTH, CLIPS = 4, 6, 2000


def made(kind: str, **options: float) -> Frames:
    if kind == "frames":
        return Frames(FramesConfig.parse({**SIZES, **options}), labels=LABELS, width=WIDTH)
    return FramesClass(FramesClassConfig.parse({**SIZES, **options}), labels=LABELS, width=WIDTH)


@pytest.mark.parametrize("frames", [1, 2, 5, 53, 212])
def test_frames_are_chosen_as_the_originals_do(frames: int) -> None:
    expected = np.linspace(0, 212, frames, dtype=np.int32, endpoint=False) + 212 // (frames + 1)
    chosen = resample(torch.arange(212)[:, None], frames)[:, 0]
    assert chosen.tolist() == expected.tolist()


def test_more_frames_than_there_are_repeat_some() -> None:
    assert resample(torch.arange(3)[:, None], 6)[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("length", [215, 216, 300])
def test_of_a_whole_video_the_originals_see_the_middle(length: int) -> None:
    config = FramesConfig(frames=212, span=212, skip=1)
    assert config.see(torch.arange(1.0, length + 1)[:, None])[:, 0].tolist() == list(range(2, 214))


@pytest.mark.parametrize("length", [1, 2, 100])
def test_behind_the_end_of_a_video_there_are_zeros(length: int) -> None:
    config = FramesConfig(frames=212, span=212)
    shown = config.see(torch.arange(1.0, length + 1)[:, None])[:, 0]
    assert shown.tolist() == [*range(1, length + 1)] + [0] * (212 - length)


def test_a_window_moves_with_the_sound_and_stays_inside_the_video() -> None:
    config = FramesConfig(frames=4, span=4)
    video = torch.arange(10.0)[:, None]
    assert [config.see(video, past)[0, 0].item() for past in (0, 0.25, 0.5, 1, 1.5, 2, 9)] == [
        0,
        1,
        2,
        4,
        6,
        6,
        6,
    ]
    short = video[:4]
    assert torch.equal(config.see(short, 3.0), config.see(short))


@pytest.mark.parametrize("kind", ["frames", "frames_class"])
def test_each_position_is_its_frame_and_the_class_comes_last(kind: str) -> None:
    part = made(kind).eval()
    features, label = torch.randn(2, 3, 5), torch.tensor([0, 2])
    prefix = part(label, features)
    assert prefix.shape == (2, part.length, WIDTH)
    assert torch.allclose(prefix[:, 1], part.embed(features[:, 1]))
    if kind == "frames_class":
        assert torch.equal(prefix[:, 3], part.embedding(label))
    else:
        assert torch.equal(prefix, part(torch.tensor([1, 1]), features))


@pytest.mark.parametrize("kind", ["frames", "frames_class"])
def test_nothing_is_no_class_and_no_video(kind: str) -> None:
    part = made(kind).eval()
    assert torch.equal(part.nothing(2), part(torch.full((2,), LABELS)))


def test_videos_are_hidden_in_training_by_their_share() -> None:
    part = made("frames", drop=0.25).train()
    prefix = part(torch.zeros(CLIPS, dtype=torch.int64), torch.randn(CLIPS, 3, 5))
    hidden = (prefix == part.nothing(CLIPS)).flatten(1).all(1).float().mean()
    assert hidden == pytest.approx(0.25, abs=0.03)
    assert torch.equal(part.eval()(torch.zeros(1), torch.ones(1, 3, 5)), part.embed(torch.ones(1, 3, 5)))


def test_class_and_video_are_hidden_together_and_each_alone() -> None:
    part = made("frames_class", drop=0.2).train()
    prefix = part(torch.zeros(CLIPS, dtype=torch.int64), torch.randn(CLIPS, 3, 5))
    same = (prefix == part.nothing(CLIPS)).all(-1)
    no_video, no_class = same[:, :3].all(1), same[:, 3]
    for wanted in (no_video & no_class, no_video & ~no_class, ~no_video & no_class):
        assert wanted.float().mean() == pytest.approx(0.2, abs=0.04)


def test_gradients_reach_every_weight() -> None:
    part = made("frames_class", drop=0.3).train()
    part(torch.arange(CLIPS) % LABELS, torch.randn(CLIPS, 3, 5)).pow(2).sum().backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters() if p is not part.no_frame
    )
    assert part.no_frame.grad is not None


def test_features_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 5\) a clip where \(3, 5\)"):
        made("frames")(torch.zeros(1), torch.zeros(1, 4, 5))


def test_more_than_everything_cannot_be_hidden() -> None:
    with pytest.raises(UserError, match="option drop"):
        FramesClassConfig.parse({"drop": 0.4})
