"""Blur shows in the traits, and equal sets are near each other."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.evaluation.traits import BLUR, distances, traits
from melgpt.types import MelScale

SCALE = MelScale.preset("specvqgan")
LABELS = np.repeat([0, 1], 16)


def clips(seed: int) -> Tensor:
    """Two classes of 16 clips: bursts of noise at their own rates, and tones with harmonics."""
    rng = np.random.default_rng(seed)
    mels = rng.normal(0.45, 0.07, (32, 80, 200))
    for number, mel in enumerate(mels):
        if number < 16:
            mel[:, rng.integers(10, 20) :: 25] += 0.3
        else:
            mel[rng.integers(4, 8) :: 9] += 0.3
    return torch.from_numpy(mels.clip(0, 1)).float()


def distance(made: Tensor, real: Tensor) -> dict[str, float]:
    both = traits(made, SCALE), traits(real, SCALE)
    found = distances(*both, (LABELS, LABELS), resamples=20, seed=0)
    return {name: interval.value for name, interval in found.items()}


def test_other_clips_of_the_same_kind_are_near() -> None:
    assert all(value < 1 for value in distance(clips(0), clips(1)).values())


def test_a_set_has_no_distance_to_itself() -> None:
    assert max(distance(clips(0), clips(0)).values()) == 0


@pytest.mark.parametrize(("size", "seen"), [((5, 5), BLUR[:2]), ((1, 5), BLUR[:1]), ((5, 1), BLUR[1:2])])
def test_blur_is_seen(size: tuple[int, int], seen: tuple[str, ...]) -> None:
    padding = (size[0] // 2, size[1] // 2)
    blurred = F.avg_pool2d(clips(0)[:, None], size, 1, padding)[:, 0]
    plain, found = distance(clips(0), clips(1)), distance(blurred, clips(1))
    for name in seen:
        assert found[name] > 4 * plain[name]


def test_late_short_and_soft_clips_are_seen() -> None:
    made, plain = clips(0), distance(clips(0), clips(1))
    late = F.pad(made, (60, 0))[..., :200]
    assert distance(late, clips(1))["begin"] > plain["begin"] + 0.4
    short = F.pad(made[..., :120], (0, 80))
    assert distance(short, clips(1))["length"] > plain["length"] + 0.4
    assert distance((made - 0.1).clamp(min=0), clips(1))["peak"] > plain["peak"] + 1


def test_a_class_can_be_looked_at_alone() -> None:
    both = traits(clips(0), SCALE), traits(clips(1), SCALE)
    one, other = (
        distances(*both, (LABELS, LABELS), of_class=label, resamples=20, seed=0)["modulation"].value
        for label in (0, 1)
    )
    whole = distances(*both, (LABELS, LABELS), resamples=20, seed=0)["modulation"].value
    assert whole == pytest.approx((one + other) / 2)


def test_clips_shorter_than_a_second_have_traits() -> None:
    values = traits(clips(0)[..., :7], SCALE)
    assert all(np.isfinite(each).all() for each in values.values())
