"""Near duplicates are found through gain, shift, noise and codecs; alike recordings are told apart."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import torch

from made_sounds import RATE, Sound, sound
from melgpt.audio.mel import analyse
from melgpt.data.config import DataConfig
from melgpt.data.duplicates import RADIUS, candidates, signature, similarity, verified
from melgpt.types import Audio, MelScale

LEAST = DataConfig().near_duplicate
Change = Callable[[Sound], Sound]


def mel(samples: Sound, preset: str = "specvqgan") -> np.ndarray:
    scale = MelScale.preset(preset)
    values = analyse(Audio(torch.from_numpy(samples.astype(np.float32))[None], scale.rate), scale).values
    return values[0].T.numpy().astype(np.float16)


def compressed(samples: Sound) -> Sound:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="OGG", subtype="VORBIS", compression_level=0.7)
    file.seek(0)
    return np.asarray(soundfile.read(file, dtype="float32")[0])


def hiss(seed: int, seconds: float = 3.0) -> Sound:
    return (0.1 * np.random.default_rng(seed).normal(size=round(seconds * RATE))).astype(np.float32)


def bang(seed: int) -> Sound:
    """Silence, a decaying burst of noise, silence."""
    decay = np.exp(-np.arange(2 * RATE) / (0.15 * RATE))
    return np.concatenate([np.zeros(RATE // 2), 3 * decay * hiss(seed, 2.0)]).astype(np.float32)


def bell(hertz: float) -> Sound:
    time = np.arange(2 * RATE) / RATE
    partials = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in (1, 2.76, 5.4))
    return (0.3 * partials * np.exp(-2 * time)).astype(np.float32)


CHANGES: dict[str, Change] = {
    "quieter": lambda x: 0.2 * x,
    "a little noise": lambda x: x + 0.1 * float(np.sqrt(np.mean(x**2))) * hiss(99, len(x) / RATE)[: len(x)],
    "later": lambda x: np.concatenate([np.zeros(12345, np.float32), x]),
    "start cut off": lambda x: x[5000:],
    "compressed": compressed,
    "all of it": lambda x: compressed(0.5 * np.concatenate([np.zeros(3000, np.float32), x])),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("original", ["bursts", "hiss"])
def test_a_changed_copy_is_a_near_duplicate(change: str, original: str) -> None:
    scale = MelScale()
    samples = sound(5, 3.0) if original == "bursts" else hiss(1)
    first, second = mel(samples), mel(CHANGES[change](samples))
    assert similarity(first, second, scale) >= LEAST
    assert np.linalg.norm(signature(first, scale) - signature(second, scale)) < RADIUS


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (hiss(1), hiss(2)),
        (bang(1), bang(2)),
        (bell(440), bell(554)),
        (sound(1, 3.0), sound(2, 3.0)),
        (hiss(1), np.zeros(3 * RATE, np.float32)),
    ],
    ids=["two hisses", "two bangs", "two bells", "two textures", "silence"],
)
def test_alike_sounds_of_different_recordings_are_no_duplicates(first: Sound, second: Sound) -> None:
    assert similarity(mel(first), mel(second), MelScale()) < LEAST - 0.1


def test_similarity_does_not_depend_on_the_order_and_is_one_for_itself() -> None:
    first, second = mel(sound(1, 2.0)), mel(sound(2, 1.3))
    assert similarity(first, second, MelScale()) == pytest.approx(similarity(second, first, MelScale()))
    assert similarity(first, first, MelScale()) == pytest.approx(1)


@pytest.mark.parametrize("preset", ["hifigan", "wide"])
def test_other_mel_scales_find_the_same(preset: str) -> None:
    scale = MelScale.preset(preset)
    samples = sound(3, 2.0)
    assert similarity(mel(samples, preset), mel(0.3 * samples, preset), scale) > 0.95
    assert similarity(mel(samples, preset), mel(sound(4, 2.0), preset), scale) < LEAST


def test_one_frame_mels_do_not_break_it() -> None:
    scale = MelScale()
    tiny = np.full((1, 80), 0.5, np.float16)
    assert np.isfinite(signature(tiny, scale)).all()
    assert similarity(tiny, mel(sound(1)), scale) <= 1


def test_candidates_are_pairs_of_different_files_in_order_and_verified() -> None:
    scale = MelScale()
    one = sound(1, 2.0)
    mels = [mel(one), mel(sound(2, 2.0)), mel(0.5 * one), mel(one)]
    signatures = np.stack([signature(m, scale) for m in mels])
    files = np.array([0, 1, 2, 0])
    (pairs,) = candidates(signatures, files)
    assert [0, 3] not in pairs.tolist()
    found = list(verified(pairs, mels.__getitem__, scale, LEAST))
    assert [(p.a, p.b) for p in found] == [(0, 2), (2, 3)]


def test_the_short_way_to_a_verdict_finds_what_the_similarity_says() -> None:
    scale = MelScale()
    one, other = sound(5, 3.0), hiss(1, 1.3)
    mels = [mel(x) for x in (one, other, bang(1), hiss(2), *(change(one) for change in CHANGES.values()))]
    every = [(a, b) for a in range(len(mels)) for b in range(a + 1, len(mels))]
    for least in (0.05, 0.3, LEAST):
        scores = {(a, b): similarity(mels[a], mels[b], scale) for a, b in every}
        found = {(p.a, p.b): p.similarity for p in verified(np.array(every), mels.__getitem__, scale, least)}
        assert found == pytest.approx({pair: score for pair, score in scores.items() if score >= least})


def test_real_clips_give_only_the_pair_that_was_uploaded_twice(esc10) -> None:  # type: ignore[no-untyped-def]
    from melgpt.audio.io import read

    names = ["2-28314-A", "2-30322-A", "1-17150-A", "1-17565-A", "2-32834-A"]
    paths = [p for name in names for p in esc10.glob(f"*/{name}.ogg")]
    mels = [mel(read(path, 22050).samples[0].numpy()) for path in paths]
    found = [
        (paths[i].stem, paths[j].stem)
        for i in range(len(mels))
        for j in range(i + 1, len(mels))
        if similarity(mels[i], mels[j], MelScale()) >= LEAST
    ]
    assert found == [("2-28314-A", "2-30322-A")]
