"""A file is cut block by block into the clips that the whole of it gives, and little of it is in memory."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from melgpt.audio import io
from melgpt.data import cutting
from melgpt.data.config import DataConfig
from melgpt.data.cutting import Clip, TooShortError, clips_of
from melgpt.types import Audio, MelScale

CONFIG, SCALE = DataConfig(clip_seconds=0.5), MelScale()


def sound_file(folder: Path, rate: int, parts: list[tuple[float, float]]) -> Path:
    """Noise of so many seconds and so loud, one part after the other."""
    rng = np.random.default_rng(0)
    samples = [level * rng.uniform(-1, 1, round(seconds * rate)) for seconds, level in parts]
    path = folder / "sound.wav"
    soundfile.write(path, np.concatenate(samples), rate, "FLOAT")
    return path


def same(one: Clip, other: Clip) -> bool:
    alike = np.array_equal(one.samples, other.samples) and np.array_equal(one.original, other.original)
    return alike and one.start == other.start


@pytest.mark.parametrize("trim", [True, False])
@pytest.mark.parametrize("rate", [44100, 48000, 22050])
@pytest.mark.parametrize(
    "parts",
    [
        [(0.7, 0), (1.3, 0.5), (0.6, 0), (0.31, 0.2), (0.9, 0)],
        [(0.2, 0), (1.3, 0.5), (0.2, 0)],
        [(1.2, 0)],
        [(1.62, 0.3)],
        [(0.3, 0.3)],
    ],
)
def test_blocks_of_any_size_give_the_same_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[tuple[float, float]], rate: int, trim: bool
) -> None:
    path = sound_file(tmp_path, rate, parts)
    config = CONFIG.model_copy(update={"trim_silence": trim})
    whole = list(clips_of(path, config, SCALE))
    assert whole
    for block in (997, 10_000):
        monkeypatch.setattr(io, "BLOCK", block)
        found = list(clips_of(path, config, SCALE))
        assert len(found) == len(whole)
        assert all(map(same, found, whole))


def test_clips_follow_each_other_and_silent_ends_are_skipped(tmp_path: Path) -> None:
    path = sound_file(tmp_path, 22050, [(0.7, 0), (1.3, 0.5), (0.8, 0)])
    clips = list(clips_of(path, CONFIG, SCALE))
    assert [clip.start for clip in clips] == pytest.approx([0.6, 1.1, 1.6], abs=1e-3)
    assert sum(len(clip.samples) for clip in clips) == pytest.approx(1.5 * 22050, abs=2)
    whole = io.read(path).samples[0].numpy()
    first = round(0.6 * 22050)
    assert np.array_equal(clips[1].samples, whole[first + 11025 : first + 22050])
    assert np.array_equal(clips[1].samples, clips[1].original)


def test_a_sound_that_is_too_short_says_how_short(tmp_path: Path) -> None:
    path = sound_file(tmp_path, 44100, [(0.008, 0.5)])
    with pytest.raises(TooShortError) as error:
        list(clips_of(path, CONFIG, SCALE))
    assert error.value.seconds == pytest.approx(0.008, abs=1e-4)


def test_of_a_long_file_a_few_blocks_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def blocks(path: Path, findings: object) -> Iterator[Audio]:
        nonlocal most
        for number in range(200):
            samples = np.random.default_rng(number).uniform(-0.5, 0.5, 4410).astype(np.float32)
            alive.append(weakref.ref(samples))
            most = max(most, sum(ref() is not None for ref in alive))
            yield Audio(torch.from_numpy(samples).unsqueeze(0), 44100)

    monkeypatch.setattr(cutting, "read_blocks", blocks)
    assert sum(1 for _ in clips_of(Path("long.wav"), CONFIG, SCALE)) == 40
    assert most < 18
