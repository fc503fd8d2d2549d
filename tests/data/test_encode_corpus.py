"""Whole corpora → codes: one .npz for each clip, or the originals' files beside their mels."""

from pathlib import Path

import numpy as np
import pytest
import torch

import made_corpora as made
from conftest import melgpt
from made_sounds import save, sound
from melgpt.codec.codec import Codec, CodecConfig
from melgpt.data.config import DataConfig
from melgpt.data.encode_corpus import clip_codes, encode_originals, sounds_of
from melgpt.data.original_codes import code_path, read_grid, read_grids, write_grid
from melgpt.data.prepare import prepare
from melgpt.errors import UserError
from melgpt.types import MelScale

MARK = "0123456789abcdef"


def codec(stride: int = 16) -> Codec:
    """A narrow codec whose tokens are stride x stride; 16 as the originals'."""
    network = {
        "channels": 2,
        "multipliers": [1],
        "residual_blocks": 1,
        "attention_levels": [],
        "middle_attention": False,
        "latent": 4,
        "stem_stride": [stride, stride],
        "strides": [],
    }
    quantizer = {"kind": "vq", "codes": 16, "dim": 4}
    return Codec(CodecConfig.parse({"network": network, "quantizer": quantizer})).eval()


def test_the_codes_of_the_originals_are_of_the_middle_and_lie_beside_the_mels(tmp_path: Path) -> None:
    source, part = made.vas(tmp_path / "vas", {"dog": (0, 2700), "gun": (3,)}), codec()
    assert encode_originals(part, source) == 3
    written = source / "features" / "dog" / "codes_10s" / "video_02700_mel_code.npy"
    grid = np.load(written)
    assert (grid.shape, grid.dtype) == ((5, 53), np.int64)
    middle = torch.from_numpy(made.mel(1)[:, 6:854].copy())[None]
    with torch.no_grad():
        assert np.array_equal(grid, part.tokenize(middle)[0].numpy())


def test_a_prepared_set_knows_where_its_mels_and_their_codes_are(tmp_path: Path) -> None:
    source, part = made.vas(tmp_path / "vas", {"dog": (0, 1, 2700)}), codec()
    prepare(source, tmp_path / "data", DataConfig(), MelScale())
    assert encode_originals(part, tmp_path / "data") == 3
    found = dict(read_grids(tmp_path / "data", "train", 16))
    assert sorted(found) == [0, 1]
    beside = source / "features" / "dog" / made.MELS / "video_00001_mel.npy"
    assert np.array_equal(found[1], read_grid(code_path(beside), 16))
    code_path(beside).unlink()
    with pytest.raises(UserError, match=r"video_00001_mel_code\.npy is missing"):
        list(read_grids(tmp_path / "data", "train", 16))


def test_vggsound_has_its_codes_beside_its_one_folder(tmp_path: Path) -> None:
    source = made.vggsound(tmp_path / "vgg", ["a_0_10000", "b_0_10000"])
    encode_originals(codec(), source)
    assert sorted(p.name for p in (source / "codes_10s").iterdir()) == [
        "a_0_10000_mel_code.npy",
        "b_0_10000_mel_code.npy",
    ]


def test_what_does_not_fit_the_originals_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0, 1)})
    with pytest.raises(UserError, match="grids of 10 x 106"):
        encode_originals(codec(8), source)
    save(tmp_path / "sounds" / "dog" / "a.wav", sound(0))
    with pytest.raises(UserError, match="is no finished mel"):
        encode_originals(codec(), tmp_path / "sounds")
    assert not list(tmp_path.rglob("codes_10s"))


def test_a_short_mel_is_listed_and_the_others_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0, 1)})
    made.save_mel(source / "features" / "dog" / made.MELS / "video_00002_mel.npy", made.mel(2, 400))
    with pytest.raises(UserError, match="1 of 3 files gave no codes"):
        encode_originals(codec(), source)
    assert "video_00002_mel.npy: the mel has 400 frames" in capsys.readouterr().err
    assert len(list(source.rglob("*_mel_code.npy"))) == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((5, 53), 16), "a codebook of 16 has 0 to 15"),
        (np.full((5, 53), -1), "a codebook of 16 has 0 to 15"),
        (np.zeros((5, 53)), "no grid"),
        (np.zeros(265, np.int64), "no grid"),
    ],
)
def test_files_that_hold_no_codes_are_refused(values: np.ndarray, words: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x_mel_code.npy", values)
    with pytest.raises(UserError, match=words):
        read_grid(tmp_path / "x_mel_code.npy", 16)


def test_a_grid_survives_a_round_trip(tmp_path: Path) -> None:
    grid = np.arange(265).reshape(5, 53)
    write_grid(tmp_path / "codes_10s" / "x_mel_code.npy", grid)
    assert np.array_equal(read_grid(tmp_path / "codes_10s" / "x_mel_code.npy", 265), grid)


def test_clips_of_a_prepared_set_have_codes_each(tmp_path: Path) -> None:
    for name, seconds in (("dog/a.wav", 2.5), ("rain/b.wav", 0.5)):
        save(tmp_path / "sounds" / name, sound(len(name), seconds))
    prepare(tmp_path / "sounds", tmp_path / "data", DataConfig(clip_seconds=1.0), MelScale())
    found = dict(clip_codes(codec(), MARK, tmp_path / "data"))
    assert list(found) == ["dog/a.wav", "dog/a.wav@1", "dog/a.wav@2", "rain/b.wav"]
    codes = found["rain/b.wav"]
    assert (codes.codec, codes.codebook, codes.grid.shape[1], codes.samples) == (MARK, 16, 5, 11025)
    assert sounds_of(tmp_path / "data", MelScale()) == []
    assert sounds_of(tmp_path / "sounds", MelScale()) == ["dog/a.wav", "rain/b.wav"]


def test_finished_mels_are_encoded_whole(tmp_path: Path) -> None:
    source = made.vas(tmp_path / "vas", {"dog": (0,)})
    ((name, codes),) = clip_codes(codec(), MARK, source)
    assert name == f"features/dog/{made.MELS}/video_00000"
    assert (codes.frames, codes.samples, tuple(codes.grid.shape)) == (860, None, (1, 5, 54))
    assert sounds_of(source, MelScale()) == []


def test_another_scale_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "sounds" / "dog" / "a.wav", sound(0))
    save(tmp_path / "sounds" / "dog" / "b.wav", sound(1))
    prepare(tmp_path / "sounds", tmp_path / "data", DataConfig(), MelScale.preset("hifigan"))
    with pytest.raises(UserError, match="has the mel scale"):
        next(clip_codes(codec(), MARK, tmp_path / "data"))


def test_the_command_writes_the_codes_of_a_corpus(trained: Path, corpus: Path, tmp_path: Path) -> None:
    done = melgpt("encode", trained, corpus, tmp_path / "codes")
    assert done.returncode == 0, done.stderr
    names = sorted(p.relative_to(corpus).as_posix() for p in corpus.rglob("*.wav"))
    assert sorted(p.relative_to(tmp_path / "codes").as_posix() for p in tmp_path.rglob("*.npz")) == [
        f"{name}.npz" for name in names
    ]
    assert done.stdout.split("\n")[:-1] == [str(tmp_path / "codes" / f"{name}.npz") for name in names]
    for arguments, words in (
        ([corpus], "give OUT"),
        ([corpus, tmp_path / "a.npz"], "its codes go to a folder"),
        ([corpus, "--originals"], "is no finished mel"),
        ([corpus / names[0], "--originals"], "wants the folder of a corpus"),
    ):
        done = melgpt("encode", trained, *arguments)
        assert done.returncode == 2
        assert words in done.stderr
