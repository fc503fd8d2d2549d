"""Sound files out: which format, how many bits, which peak level; written whole or not at all."""

import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import numpy as np
import soundfile
import torch
from pydantic import BeforeValidator, Field

from melgpt.config import Config
from melgpt.errors import UserError
from melgpt.paths import NewFile, atomic
from melgpt.types import Audio

FORMATS: dict[str, tuple[str, dict[str, str]]] = {
    ".wav": ("WAV", {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"}),
    ".flac": ("FLAC", {"16": "PCM_16", "24": "PCM_24"}),
    ".ogg": ("OGG", {"": "VORBIS"}),
}
"""Suffix → libsndfile's name of the format and of each number of bits that it holds, the default first."""
PEAK_DBFS = -1.0
"""Peak that `normalize` gives: room for what a player or a lossy format adds between samples."""
NEARLY_SILENT_DBFS = -50.0
"""A sound whose peak is below has nothing to be heard, and `normalize` leaves it."""
MOST_BYTES = (1 << 32) - (1 << 16)
"""A WAV file holds no more."""
MOST_RATE = 192_000
"""Sampling rate in Hz up to which all formats can be written; libsndfile's Vorbis ends the process above."""
BLOCK = 1 << 15
"""Samples that are written at a time: libsndfile's Vorbis puts them on the stack, and ends with it."""


def _as_text(bits: object) -> object:
    return str(bits) if type(bits) is int else bits


class Output(Config):
    """How a sound is written; the format is that of the file's suffix."""

    rate: int | None = Field(None, ge=4000, le=MOST_RATE)
    """Sampling rate of the file in Hz; without it that of the sound."""
    bits: Annotated[Literal["16", "24", "32f"] | None, BeforeValidator(_as_text)] = None
    """16 (default), 24, or 32f: floating point, WAV alone. FLAC has 16 and 24, OGG none."""
    normalize: bool = False
    """Bring the peak to PEAK_DBFS. A sound is kept in a temporary file beside until its peak is known."""

    def subtype(self, name: str) -> tuple[str, str]:
        """libsndfile's names of format and subtype for a file's name. Raises UserError for what cannot be."""
        suffix = Path(name).suffix.lower()
        if suffix not in FORMATS:
            raise UserError(f"cannot write {name}: the suffix must be one of {', '.join(FORMATS)}")
        container, subtypes = FORMATS[suffix]
        bits = self._bits(subtypes)
        if bits not in subtypes:
            can = (
                f"takes bits {' or '.join(subtypes)}" if "" not in subtypes else "has no bits: leave them out"
            )
            raise UserError(f"{container} {can} (given: {self.bits})")
        return container, subtypes[bits]

    def check_length(self, name: str, seconds: float, rate: int) -> None:
        """Raises UserError where a WAV file cannot hold so many seconds of a sound with this rate."""
        container, subtype = self.subtype(name)
        rate = self.rate or rate
        each = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}.get(subtype, 0)
        if container == "WAV" and each * seconds * rate > MOST_BYTES:
            most = MOST_BYTES / each / rate
            raise UserError(f"a WAV file holds up to {most:.0f} s at {rate} Hz, not {seconds:.7g}; take FLAC")

    def _bits(self, subtypes: dict[str, str]) -> str:
        """Those that were asked for, or a format's default."""
        return next(iter(subtypes)) if self.bits is None else self.bits


@dataclass(frozen=True)
class Written:
    """How a sound was written, and its level."""

    format: str
    """wav, flac or ogg."""
    rate: int
    """In Hz."""
    bits: str
    """16, 24 or 32f; nothing where the format has none."""
    normalize: bool
    """Whether its peak was to be brought to PEAK_DBFS."""
    peak_dbfs: float
    """Its peak in dB of full scale, before what is above is cut off; -inf for digital silence."""
    gain_db: float
    """What `normalize` added."""

    @property
    def nearly_silent(self) -> bool:
        return self.peak_dbfs < NEARLY_SILENT_DBFS

    @property
    def told(self) -> dict[str, Any]:
        """The same in plain types, for the JSON of a sound; no number stands for digital silence."""
        told = asdict(self)
        told["peak_dbfs"] = round(self.peak_dbfs, 2) if math.isfinite(self.peak_dbfs) else None
        told["gain_db"] = round(self.gain_db, 2)
        return told


def write_file(path: Path, pieces: Iterable[Audio], rate: int, output: Output) -> Written:
    """Write a sound in pieces [1, T], which all have the file's rate; only one is held at a time.

    Raises UserError for what the format cannot hold and for samples that are not finite numbers.
    """
    container, subtype = output.subtype(path.name)
    if container != "WAV" and rate > MOST_RATE:
        raise UserError(f"{container} holds up to {MOST_RATE} Hz, not {rate}: give another rate, or take WAV")
    bits = next(bits for bits, name in FORMATS[path.suffix.lower()][1].items() if name == subtype)
    about = (container.lower(), rate, bits, output.normalize)
    if not output.normalize:
        return Written(*about, _decibels(_write(path, pieces, rate, output)), 0.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path.parent) as store:
        peak = _decibels(_keep(pieces, store))
        gain = 0.0 if peak < NEARLY_SILENT_DBFS else PEAK_DBFS - peak
        _write(path, _kept(store, rate, 10 ** (gain / 20)), rate, output)
    return Written(*about, peak + gain, gain)


def _write(path: Path, pieces: Iterable[Audio], rate: int, output: Output) -> float:
    """Write them; returns the largest magnitude."""
    container, subtype = output.subtype(path.name)
    peak = 0.0
    with (
        atomic(path) as temporary,
        NewFile(temporary) as raw,
        soundfile.SoundFile(raw, "w", rate, 1, format=container, subtype=subtype) as file,
    ):
        for audio in pieces:
            samples = _mono(audio)
            peak = max(peak, _peak(samples))
            samples = samples if subtype == "FLOAT" else samples.clip(-1, 1)
            for first in range(0, len(samples), BLOCK):
                file.write(samples[first : first + BLOCK])
    return peak


def _keep(pieces: Iterable[Audio], store: IO[bytes]) -> float:
    """Put the samples into a file as they are; returns the largest magnitude."""
    peak = 0.0
    for audio in pieces:
        samples = _mono(audio)
        peak = max(peak, _peak(samples))
        store.write(samples.astype("<f4").tobytes())
    return peak


def _kept(store: IO[bytes], rate: int, gain: float) -> Iterator[Audio]:
    """What `_keep` has put there, times a gain."""
    store.seek(0)
    while block := store.read(4 * BLOCK):
        samples = np.frombuffer(block, "<f4").astype(np.float32) * np.float32(gain)
        yield Audio(torch.from_numpy(samples)[None], rate)


def _mono(audio: Audio) -> np.ndarray:
    if audio.samples.ndim != 2 or audio.samples.shape[0] != 1:
        raise UserError(f"a file holds one sound, samples [1, T], not {list(audio.samples.shape)}")
    return np.asarray(audio.samples[0].detach().float().cpu().numpy())


def _peak(samples: np.ndarray) -> float:
    peak = float(np.abs(samples).max(initial=0.0))
    if not math.isfinite(peak):
        raise UserError("the sound holds samples that are not finite numbers, it is not written")
    return peak


def _decibels(magnitude: float) -> float:
    return 20 * math.log10(magnitude) if magnitude > 0 else -math.inf
