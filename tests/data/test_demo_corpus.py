"""The demo corpus: reproducible, never the same clip twice, sound in every clip."""

from pathlib import Path

import numpy as np
import pytest
import torch

from melgpt.audio.io import read
from melgpt.audio.mel import analyse
from melgpt.data.demo_corpus import LABELS, LONGEST, SHORTEST, build, clip
from melgpt.data.synthesis import RATE
from melgpt.errors import UserError
from melgpt.types import Audio, MelScale

CLIPS = 6


@pytest.fixture(scope="module")
def clips() -> dict[str, list[np.ndarray]]:
    return {label: [clip(label, number) for number in range(1, CLIPS + 1)] for label in LABELS}


def test_the_classes_are_the_originals() -> None:
    assert set(LABELS) == {"dog", "fireworks", "drum", "baby", "gun", "sneeze", "cough", "hammer"}


def test_files_are_the_clips_and_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("first", "again"):
        build(tmp_path / name, clips_per_class=1, seed=4)
    paths = sorted((tmp_path / "first").rglob("*.wav"))
    assert [path.parent.name for path in paths] == sorted(LABELS)
    for path in paths:
        again = tmp_path / "again" / path.relative_to(tmp_path / "first")
        assert path.read_bytes() == again.read_bytes()
    audio = read(tmp_path / "first" / "dog" / "dog_0001.wav")
    assert audio.rate == RATE
    assert np.abs(audio.samples[0].numpy() - clip("dog", 1, seed=4)).max() < 2**-14


@pytest.mark.parametrize("label", LABELS)
def test_clips_are_in_range_never_clipped_never_silent(label: str, clips: dict[str, list]) -> None:
    for wave in clips[label]:
        assert np.isfinite(wave).all()
        assert 0.3 < np.abs(wave).max() < 0.99
        assert wave.std() > 0.005
        assert SHORTEST <= len(wave) / RATE <= LONGEST


@pytest.mark.parametrize("label", LABELS)
def test_no_two_clips_are_alike(label: str, clips: dict[str, list]) -> None:
    waves = [*clips[label], clip(label, 1, seed=1)]
    shortest = min(map(len, waves))
    for i, wave in enumerate(waves):
        for other in waves[:i]:
            assert abs(np.corrcoef(wave[:shortest], other[:shortest])[0, 1]) < 0.9
    assert len({len(wave) for wave in waves}) > len(waves) // 2


def test_a_clip_resembles_its_own_class_more_than_another(clips: dict[str, list]) -> None:
    """Nearest neighbour by the average and the spread of each mel band: far above one in eight."""
    scale = MelScale()
    features, labels = [], []
    for label, waves in clips.items():
        for wave in waves:
            mel = analyse(Audio(torch.from_numpy(wave).float().unsqueeze(0), RATE), scale).values[0]
            change = mel.diff(dim=1).abs().mean(1)
            features.append(torch.cat([mel.mean(1), mel.std(1), 3 * change, mel.amax(1)]))
            labels.append(label)
    distances = torch.cdist(torch.stack(features), torch.stack(features)).fill_diagonal_(torch.inf)
    right = [labels[i] == labels[int(j)] for i, j in enumerate(distances.argmin(1))]
    assert np.mean(right) > 0.6


def test_no_clips_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one"):
        build(tmp_path, clips_per_class=0)
