"""A whole corpus through a codec: the codes of each clip, or the originals' files of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from melgpt.codec.codec import Codec
from melgpt.data.audit import LEFT_OUT
from melgpt.data.config import DataConfig
from melgpt.data.decode import cut_file
from melgpt.data.layouts import layout_of
from melgpt.data.mel_file import SUFFIX
from melgpt.data.original_codes import check_grid, code_path, encode_file
from melgpt.data.originals import as_batch
from melgpt.data.passed_over import PassedOver
from melgpt.data.store import Store, is_prepared, read_manifest
from melgpt.errors import UserError
from melgpt.progress import progress, say
from melgpt.types import Codes, MelScale


@dataclass(frozen=True)
class _Clip:
    path: str
    start: float
    mel: NDArray[np.float16]
    """[N, F]"""
    samples: int | None
    """Samples T of the sound at the scale's rate; None for a finished mel."""

    @property
    def name(self) -> str:
        """The path, with the second that a later clip begins at."""
        return f"{self.path.removesuffix(SUFFIX)}{f'@{self.start:g}' if self.start else ''}"


@torch.inference_mode()
def clip_codes(codec: Codec, fingerprint: str, folder: Path) -> Iterator[tuple[str, Codes]]:
    """Name and codes of every clip of a prepared data set, or of a folder of finished mels.

    That of `dog/a.wav` is `dog/a.wav`, of its clip from second 10 on `dog/a.wav@10`, of `video_00000_mel.npy`
    `video_00000`. Raises UserError for another mel scale, and at the end where a mel could not be used.
    """
    device, scale = next(codec.parameters()).device, codec.scale
    if is_prepared(folder):
        store = _open(folder, scale)
        total, files = len(store), _stored(store)
    else:
        paths = _paths(folder, scale)
        total, files = len(paths), _found(folder, paths, scale)
    with progress("codes", total) as bar:
        for clips in files:
            for clip in clips:
                grid = codec.tokenize(as_batch(clip.mel.T).to(device)).cpu()
                yield clip.name, Codes(grid, codec.codebook_size, fingerprint, len(clip.mel), clip.samples)
            bar.advance()


def sounds_of(folder: Path, scale: MelScale) -> list[str]:
    """The sounds below a folder; none of a prepared one, or of one of finished mels: see `clip_codes`."""
    paths = [] if is_prepared(folder) else _paths(folder, scale)
    return [] if any(path.endswith(SUFFIX) for path in paths) else paths


def encode_originals(codec: Codec, folder: Path) -> int:
    """Codes of every finished mel of a corpus into the originals' files beside the mels; how many.

    Raises UserError before anything is written for a codec with another grid and for a corpus of sounds, and
    at the end where a mel could not be used.
    """
    check_grid(codec)
    mels = _files(folder, codec.scale)
    for mel in mels:
        code_path(mel)
    failed = 0
    with progress("code files", len(mels)) as bar:
        for mel in mels:
            try:
                encode_file(codec, mel)
            except UserError as error:
                say(str(error))
                failed += 1
            bar.advance()
    _check(failed, len(mels))
    return len(mels)


def _open(folder: Path, scale: MelScale) -> Store:
    store = Store.open(folder)
    if store.scale != scale:
        raise UserError(f"{folder} has the mel scale {store.scale!r}, the codec {scale!r}: prepare it again")
    return store


def _stored(store: Store) -> Iterator[list[_Clip]]:
    for row in range(len(store)):
        clip = store.clip(row)
        samples = None if clip.path.endswith(SUFFIX) else round(clip.seconds * store.scale.rate)
        yield [_Clip(clip.path, clip.start, store.mel(row), samples)]


def _paths(folder: Path, scale: MelScale) -> list[str]:
    """The files of a folder as `prepare` would find them."""
    passed = PassedOver()
    sources = layout_of(folder).find(folder, DataConfig(), scale, passed)
    paths = sorted(source.path for source in sources if not source.problem)
    for line in passed.lines():
        say(line)
    if not paths:
        raise UserError(f"{folder} is no prepared data set, and no sounds or mels were found in it")
    return paths


def _found(folder: Path, paths: list[str], scale: MelScale) -> Iterator[list[_Clip]]:
    """The clips of each file. Raises UserError at the end where files gave none."""
    config = layout_of(folder).resolve(DataConfig())
    failed = 0
    for path in paths:
        found = cut_file(folder, config, scale, path)
        for finding in found.findings:
            if finding.action == LEFT_OUT:
                say(finding.line())
        failed += not found.pieces
        yield [_Clip(path, piece.start, piece.mel, None) for piece in found.pieces]
    _check(failed, len(paths))


def _files(folder: Path, scale: MelScale) -> list[Path]:
    """The file of each clip, each once."""
    if not is_prepared(folder):
        return [folder / path for path in _paths(folder, scale)]
    store = _open(folder, scale)
    root = Path(read_manifest(folder)["source"])
    return [root / path for path in dict.fromkeys(store.clip(row).path for row in range(len(store)))]


def _check(failed: int, total: int) -> None:
    if failed:
        raise UserError(f"{failed} of {total} files gave no codes, the reasons stand above")
