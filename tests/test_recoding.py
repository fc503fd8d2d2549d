"""Sounds of any length through the codec: what is short as a whole, the rest in pieces."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import melgpt
from made_sounds import save, sound
from melgpt import cli, recoding
from melgpt.audio.mel import analyse
from melgpt.codec.pieces import code_pieces, mel_pieces
from melgpt.data.codes_file import read_codes
from melgpt.errors import UserError
from melgpt.pipeline import SoundModel
from melgpt.types import Audio, Codes

RATE = 22050


@pytest.fixture(scope="module")
def model(learnt: Path) -> SoundModel:
    return melgpt.load(learnt)


def audio(seconds: float, rate: int = RATE) -> Audio:
    return Audio(torch.from_numpy(sound(0, seconds * rate / RATE))[None, : round(seconds * rate)], rate)


@pytest.mark.parametrize("columns", [1, 7, 8, 9, 13, 14, 15, 31])
def test_every_column_is_encoded_once(model: SoundModel, columns: int) -> None:
    each = model.codec.config.network.token_size[1]
    mel = torch.arange(columns * each - 5.0).expand(1, 80, -1)
    asked = []

    class Codec:
        config, before = model.codec.config, model.codec.before

        def tokenize(self, mel: torch.Tensor) -> torch.Tensor:
            """Codes that tell their column."""
            padded = torch.nn.functional.pad(mel, (0, -mel.shape[-1] % each))
            asked.append(padded.shape[-1] // each)
            return (padded[:, :5, ::each] / each).round().long()

    grids = list(code_pieces(Codec(), iter(mel.split(21, dim=-1)), 8))
    assert torch.equal(torch.cat(grids, dim=-1)[0, 0], torch.arange(columns))
    assert set(asked) == {min(columns, 8)}


@torch.inference_mode()
def test_what_is_one_piece_goes_as_a_whole(model: SoundModel) -> None:
    mel = analyse(audio(1.1), model.codec.scale).values
    (grid,) = code_pieces(model.codec, iter(mel.split(30, dim=-1)), 8)
    assert torch.equal(grid, model.codec.tokenize(mel))
    codes, restored = model.encode(audio(1.1)), model.reconstruct(audio(1.1)).samples
    assert torch.equal(codes.grid, grid)
    whole = model.vocoder(model.codec.detokenize(grid)[..., : codes.frames])
    assert torch.equal(restored[:, : whole.shape[-1]], whole[:, : restored.shape[-1]])


@torch.inference_mode()
def test_pieces_are_as_near_to_the_whole_as_those_of_new_sounds(
    model: SoundModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = audio(9)
    whole = model.encode(long).grid
    monkeypatch.setattr(recoding, "PIECE_SECONDS", 3)
    grid, columns = model.encode(long).grid, model.codec.config.columns(round(3 * RATE / 256))
    assert grid.shape == whole.shape
    assert float((grid == whole).float().mean()) > 0.8
    mel = model.codec.detokenize(whole)

    def error(codes: torch.Tensor, size: int) -> float:
        pieces = torch.cat(list(mel_pieces(model.codec, iter([codes]), size)), dim=-1)
        return float((pieces - mel).abs().mean())

    assert error(grid, columns) <= error(whole, model.prior.config.columns)


@pytest.mark.parametrize("seconds", [0.011, 0.02, 0.1, 1.0, 2.7])
@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_blocks_give_the_codes_and_the_length_of_the_whole(
    model: SoundModel, seconds: float, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recoding, "PIECE_SECONDS", 1)
    whole = audio(seconds, rate)
    blocks = (Audio(part, rate) for part in whole.samples.split(5000, dim=-1))
    codes = model.encode_blocks(blocks)
    assert torch.equal(codes.grid, model.encode(whole).grid)
    samples = model.reconstruct(whole).samples
    assert torch.equal(model.decode(codes).samples, samples)
    assert samples.shape[-1] == codes.samples == pytest.approx(seconds * RATE, abs=1)
    assert float(samples.abs().max()) > 0


def test_codes_that_do_not_tell_the_samples_become_whole_frames(model: SoundModel) -> None:
    codes = model.encode(audio(0.5))
    earlier = Codes(codes.grid, codes.codebook, codes.codec, codes.frames)
    assert model.decode(earlier).samples.shape[-1] == codes.frames * 256
    with pytest.raises(UserError, match="are not a sound of 99999 samples"):
        model.decode(Codes(codes.grid, codes.codebook, codes.codec, codes.frames, 99999))


def test_memory_does_not_grow_with_the_length(model: SoundModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoding, "PIECE_SECONDS", 2)
    sizes = {name: list[int]() for name in ("encoded", "decoded", "synthesised")}
    tokenize, detokenize, forward = model.codec.tokenize, model.codec.detokenize, model.vocoder.forward
    monkeypatch.setattr(
        model.codec, "tokenize", lambda m: sizes["encoded"].append(m.shape[-1]) or tokenize(m)
    )
    monkeypatch.setattr(
        model.codec, "detokenize", lambda c: sizes["decoded"].append(c.shape[-1]) or detokenize(c)
    )
    monkeypatch.setattr(
        model.vocoder, "forward", lambda mel, generator=None, past=None: sizes["synthesised"].append(
            mel.shape[-1]) or forward(mel, generator=generator, past=past)
    )  # fmt: skip

    def blocks(count: int) -> Iterator[Audio]:
        for number in range(count):
            yield Audio(torch.from_numpy(sound(number))[None], RATE)

    most = []
    for seconds in (5, 15):
        lengths = [
            part.samples.shape[-1] for part in model.decode_blocks(model.encode_blocks(blocks(seconds)))
        ]
        assert sum(lengths) == seconds * RATE
        most.append({name: max(values) for name, values in sizes.items()} | {"samples": max(lengths)})
    assert most[0] == most[1]


def written(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[Path]:
    """The paths that a command printed."""
    assert cli.main([str(each) for each in arguments]) == 0
    return [Path(line) for line in capsys.readouterr().out.split("\n")[:-1]]


def test_one_sound_and_a_folder_of_them_give_the_same(
    learnt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However short, and with silence at the end."""
    source = tmp_path / "in"
    for number, length in enumerate((485, 4321, 6909)):
        save(source / f"hat/{number}.wav", sound(number)[:length], 44100)
    save(source / "dog/quiet end.flac", torch.cat([audio(0.5).samples[0], torch.zeros(RATE)]).numpy())
    codes = written(capsys, "encode", learnt, source, tmp_path / "codes")
    back = written(capsys, "decode", learnt, tmp_path / "codes", tmp_path / "back")
    restored = written(capsys, "reconstruct", learnt, source, tmp_path / "restored")
    assert len(codes) == len(back) == 4
    assert [path.relative_to(tmp_path / "restored") for path in restored] == [
        path.relative_to(tmp_path / "back") for path in back
    ]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(back, restored, strict=True))
    assert soundfile.info(restored[0]).frames == RATE + RATE // 2
    single = tmp_path / "one.npz"
    assert written(capsys, "encode", learnt, source / "hat/1.wav", single) == [single]
    one, other = read_codes(single), read_codes(tmp_path / "codes/hat/1.wav.npz")
    assert torch.equal(one.grid, other.grid)
    assert one.samples == other.samples


def test_a_folder_lists_what_it_cannot_read_and_goes_on(
    learnt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    save(source / "a.wav", sound(0, 0.1))
    (source / "b.wav").write_text("no sound")

    def refused(*arguments: object) -> str:
        assert cli.main([str(each) for each in arguments]) == 2
        return capsys.readouterr().err

    for name in ("encode", "reconstruct"):
        said = refused(name, learnt, source, tmp_path / name)
        assert "b.wav" in said
        assert "1 of 2 files gave no codes" in said
        assert {file.stem for file in (tmp_path / name).iterdir()} <= {"a", "a.wav"}
    assert "its sounds go to a folder" in refused("reconstruct", learnt, source, tmp_path / "a.wav")
    assert "give another folder for OUT" in refused("reconstruct", learnt, source, source)
    assert "is the sound itself" in refused("reconstruct", learnt, source / "a.wav", source / "a.wav")


def test_what_is_wrong_with_a_readable_sound_is_said(
    learnt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = sound(0, 0.3)
    save(tmp_path / "a.wav", np.stack([both, -both], 1))
    for command, out in (("encode", "a.npz"), ("reconstruct", "b.wav")):
        assert cli.main([command, str(learnt), str(tmp_path / "a.wav"), str(tmp_path / out)]) == 0
        assert "a.wav: channels cancel: for 0.3 s" in capsys.readouterr().err
