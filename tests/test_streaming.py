"""Sounds of any length: pieces are joined without a seam, and only pieces are ever held."""

import json
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

import melgpt
from conftest import melgpt as command
from melgpt import registry
from melgpt.audio.io import write_pieces
from melgpt.codec.pieces import mel_pieces
from melgpt.errors import UserError
from melgpt.pipeline import SoundModel
from melgpt.types import Audio
from melgpt.vocoders.pieces import in_pieces


@pytest.fixture(scope="module")
def model(trained: Path) -> SoundModel:
    return melgpt.load(trained)


def _split(values: Tensor, sizes: list[int]) -> list[Tensor]:
    return list(values.split([*sizes, values.shape[-1] - sum(sizes)], dim=-1))


@pytest.mark.parametrize("sizes", [[], [1, 40, 3], [30, 30, 30]])
@torch.inference_mode()
def test_a_finite_reach_gives_the_very_sound_of_the_whole(sizes: list[int]) -> None:
    vocoder = registry.build("vocoder", registry.configure("vocoder", {"kind": "melgan", "ngf": 4})).eval()
    mel = torch.rand(1, 80, 100)
    pieces = list(in_pieces(vocoder, iter(_split(mel, sizes)), 40))
    assert len(pieces) > 2
    torch.testing.assert_close(torch.cat(pieces, dim=1), vocoder(mel), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_the_reach_is_as_small_as_it_may_be() -> None:
    vocoder = registry.build("vocoder", registry.configure("vocoder", {"kind": "melgan", "ngf": 4})).eval()
    mel = torch.rand(1, 80, 60)
    changed = mel.clone()
    changed[..., 30] += 1
    moved = (vocoder(mel) != vocoder(changed))[0].nonzero() / vocoder.scale.hop
    assert 30 - vocoder.reach <= float(moved.min()) < 30 - vocoder.reach + 2
    assert 30 + vocoder.reach - 1 < float(moved.max()) < 31 + vocoder.reach


def test_phases_go_on_over_the_border() -> None:
    """A steady tone in pieces: at each border the level stays, which phases that do not fit would cancel."""
    from melgpt.audio.mel import analyse

    vocoder = registry.build("vocoder", registry.configure("vocoder", "griffin_lim"))
    rate = vocoder.scale.rate
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(4 * rate) / rate)
    mel = analyse(Audio(tone[None], rate), vocoder.scale).values
    samples = torch.cat(list(in_pieces(vocoder, iter(mel.split(50, dim=-1)), 100)), dim=1)[0]
    assert len(samples) == mel.shape[-1] * vocoder.scale.hop
    level = samples[2048:-2048].unfold(0, 512, 128).std(-1)
    assert float(level.min()) > 0.7 * float(level.median())
    step = samples.diff().abs()
    assert float(step.max()) < 2 * float(step.quantile(0.99))


@pytest.mark.parametrize("columns", [1, 7, 8, 9, 14, 15, 30])
def test_every_column_is_decoded_once(model: SoundModel, columns: int) -> None:
    grid = torch.randint(0, model.codec.codebook_size, (1, model.codec.config.rows, columns))
    asked, each = [], model.codec.config.network.token_size[1]

    class Codec:
        config, before = model.codec.config, model.codec.before

        def detokenize(self, codes: Tensor) -> Tensor:
            asked.append(codes.shape[-1])
            # A mel that tells its column: its value is the place in the grid.
            place = int(
                (grid.unfold(2, codes.shape[-1], 1) == codes[:, :, None]).all(-1).all(1)[0].nonzero()[0]
            )
            frames = torch.arange(codes.shape[-1] * each, dtype=torch.float32) + place * each
            return frames.expand(1, 80, -1).clone()

    mels = list(mel_pieces(Codec(), iter(grid.split(3, dim=-1)), 8))
    assert torch.equal(torch.cat(mels, dim=-1)[0, 0].round(), torch.arange(float(columns * each)))
    assert set(asked) == {min(columns, 8)}, "each piece is as long as what the model knows"


@torch.inference_mode()
def test_what_is_one_piece_is_decoded_as_a_whole(model: SoundModel) -> None:
    grid = torch.randint(0, model.codec.codebook_size, (1, model.codec.config.rows, 6))
    (mel,) = mel_pieces(model.codec, iter(grid.split(2, dim=-1)), 6)
    assert torch.equal(mel, model.codec.detokenize(grid))


def _largest(model: SoundModel, seconds: float, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int]:
    """Most columns that are decoded, frames that are synthesised and samples that come at a time."""
    columns, frames = [], []
    detokenize, forward = model.codec.detokenize, model.vocoder.forward
    with monkeypatch.context() as patch:
        patch.setattr(model.codec, "detokenize", lambda c: columns.append(c.shape[-1]) or detokenize(c))
        patch.setattr(
            model.vocoder, "forward", lambda mel, generator=None, past=None: frames.append(mel.shape[-1])
            or forward(mel, generator=generator, past=past),
        )  # fmt: skip
        samples = [audio.samples.shape[-1] for audio in model.stream(label="dog", seconds=seconds)]
    assert sum(samples) == round(seconds * 22050)
    return max(columns), max(frames), max(samples)


def test_memory_does_not_grow_with_the_length(model: SoundModel, monkeypatch: pytest.MonkeyPatch) -> None:
    (columns, frames, samples), longer = (_largest(model, s, monkeypatch) for s in (6, 24))
    assert (columns, frames) == longer[:2]
    assert max(samples, longer[2]) <= frames * model.codec.scale.hop


def test_a_sound_is_the_same_each_time_and_each_number_another(model: SoundModel) -> None:
    sound = model.stream(label="dog", seconds=5, seed=3)
    first, again = (torch.cat([a.samples for a in sound], dim=1) for _ in range(2))
    assert torch.equal(first, again)
    other = torch.cat([a.samples for a in model.stream(label="dog", seconds=5, seed=3, index=1)], dim=1)
    assert not torch.equal(first, other)


def test_what_was_not_read_cannot_be_drawn(model: SoundModel, tmp_path: Path) -> None:
    sound = model.stream(label="dog", seconds=5)
    with pytest.raises(UserError, match="nothing of this sound was read yet"):
        sound.plot(tmp_path / "a.png")
    next(iter(sound))
    sound.plot(tmp_path / "a.png")


def test_the_command_streams_what_is_long(trained: Path, tmp_path: Path) -> None:
    done = command("generate", trained, "--label", "dog", "--seconds", 61, "-n", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    names = [f"dog_seed0_{i:03d}" for i in range(2)]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"{n}.{s}" for n in names for s in ("json", "png", "wav")
    )
    assert soundfile.info(tmp_path / f"{names[0]}.wav").frames == 61 * 22050
    assert json.loads((tmp_path / f"{names[1]}.json").read_text())["streamed"]
    assert (tmp_path / f"{names[0]}.png").stat().st_size < 2_000_000


def test_a_sound_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def pieces() -> object:
        yield Audio(torch.zeros(1, 100), 22050)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pieces(tmp_path / "long.wav", pieces(), 22050)
    assert not list(tmp_path.iterdir())


def test_pieces_are_written_as_one(tmp_path: Path) -> None:
    parts = [torch.rand(1, n) - 0.5 for n in (1, 500, 70)]
    for name, pieces in {"parts": parts, "whole": [torch.cat(parts, dim=1)]}.items():
        write_pieces(tmp_path / f"{name}.wav", [Audio(p, 22050) for p in pieces], 22050)
    assert (tmp_path / "parts.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_length_that_is_none_is_refused(model: SoundModel, seconds: float) -> None:
    with pytest.raises(UserError, match="seconds"):
        model.stream(label="dog", seconds=seconds)


def test_a_wav_holds_only_so_much(model: SoundModel, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="WAV"):
        model.stream(label="dog", seconds=1e6).save(tmp_path / "long.wav")
    assert not list(tmp_path.iterdir())
