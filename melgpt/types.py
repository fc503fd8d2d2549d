"""The types at the seams; inside networks tensors are bare.

Axis letters, the same in the whole package:
B clips, T samples, F mel bands, N mel frames, D channels of a latent, H rows and W columns of a code grid,
S positions of a token sequence, C width of a transformer, P positions of a prefix, K size of a codebook.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from melgpt.config import Config
from melgpt.errors import UserError, closest


class MelScale(Config):
    """All that defines a mel spectrogram. Two parts work together only if their scales are equal.

    A magnitude m of the filter bank becomes `(log(max(m, floor)) - low) / (high - low)`, clipped to [0, 1].
    """

    rate: int = Field(22050, gt=0)
    """Sampling rate in Hz."""
    n_fft: int = Field(1024, gt=0)
    """Length of the periodic Hann window and of the Fourier transform, in samples."""
    hop: int = Field(256, gt=0)
    """Samples from one frame to the next."""
    n_mels: int = Field(80, gt=0)
    """Number of bands F."""
    f_min: float = 125.0
    """Lower edge of the lowest band in Hz."""
    f_max: float = 7600.0
    """Upper edge of the highest band in Hz."""
    floor: float = Field(1e-5, gt=0)
    """Smallest magnitude that is told apart from silence."""
    log: Literal["log10", "ln"] = "log10"
    """Base of the logarithm."""
    low: float = -4.0
    """Logarithm that becomes 0."""
    high: float = 1.0
    """Logarithm that becomes 1."""
    filters: Literal["slaney", "htk"] = Field("slaney", exclude_if=lambda filters: filters == "slaney")
    """`slaney`: filters of equal area on Slaney's scale; `htk`: of equal height on HTK's, as Vocos has."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 0 <= self.f_min < self.f_max <= self.rate / 2:
            raise ValueError(
                f"needs 0 <= f_min < f_max <= rate / 2, not {self.f_min}, {self.f_max}, {self.rate}"
            )
        if self.hop > self.n_fft or self.high <= self.low:
            raise ValueError("needs hop <= n_fft and low < high")
        return self

    @classmethod
    def preset(cls, name: str) -> Self:
        """`specvqgan` (the originals), `hifigan` (0-8000 Hz, natural log), `wide` (44.1 kHz, 128 bands) or
        `vocos` (24 kHz, 100 bands, its published mel)."""
        if name not in PRESETS:
            raise UserError(f"unknown mel preset '{name}'{closest(name, [*PRESETS, AUTO])}")
        return cls.parse(PRESETS[name])

    @classmethod
    def of_table(cls, table: dict[str, Any], auto: Callable[[], dict[str, Any]] | None = None) -> Self:
        """From a recipe's [mel]: options, where it is named on top of a `preset`'s.

        auto: what `preset = "auto"` stands for, in the same form. Raises UserError for what is unknown.
        """
        options = dict(table)
        name = str(options.pop("preset", "specvqgan"))
        if name != AUTO:
            return cls.preset(name).changed(**options)
        if auto is None:
            raise UserError("mel.preset=auto follows a folder of sounds: prepare, fit and train take it")
        return cls.of_table({**auto(), **options})

    @property
    def frames_per_second(self) -> float:
        return self.rate / self.hop

    def gain(self, decibels: float) -> float:
        """What a gain in dB adds to a mel value in [0, 1] (until it meets the ends of the range)."""
        log10 = decibels / 20
        return (log10 if self.log == "log10" else log10 * math.log(10)) / (self.high - self.low)


AUTO = "auto"
"""In the place of a preset: the one that holds the energy of a folder's sounds."""
_NATURAL = {"log": "ln", "low": math.log(1e-5), "high": math.log(10)}
PRESETS: dict[str, dict[str, object]] = {
    "specvqgan": {},
    "hifigan": {"f_min": 0.0, "f_max": 8000.0, **_NATURAL},
    "wide": {
        "rate": 44100,
        "n_fft": 2048,
        "hop": 512,
        "n_mels": 128,
        "f_min": 0.0,
        "f_max": 22050.0,
        **_NATURAL,
    },
    "vocos": {
        "rate": 24000,
        "n_mels": 100,
        "f_min": 0.0,
        "f_max": 12000.0,
        "floor": 1e-7,
        "log": "ln",
        "low": math.log(1e-7),
        "high": math.log(1000),
        "filters": "htk",
    },
}


@dataclass(frozen=True)
class Audio:
    """Mono sound: samples [B, T] float32 in [-1, 1] at `rate` Hz."""

    samples: Tensor
    rate: int

    @property
    def seconds(self) -> float:
        return self.samples.shape[-1] / self.rate


@dataclass(frozen=True)
class Mel:
    """Mel spectrogram: values [B, F, N] float32 in [0, 1] on a scale."""

    values: Tensor
    scale: MelScale


@dataclass(frozen=True)
class Codes:
    """Grid of codes [B, H, W] int64 in [0, codebook), of the codec with this fingerprint."""

    grid: Tensor
    codebook: int
    codec: str
    frames: int | None = None
    """Mel frames N before padding to whole columns, where it is known."""


@dataclass(frozen=True)
class Clip:
    """One row of a data set: `seconds` from `start` on in the file at `path` (relative to its root)."""

    id: str
    path: str
    label: str
    start: float
    seconds: float
    split: Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Quantized:
    """What every quantizer returns: z [B, D, H, W], codes [B, H, W] int64, loss, detached metrics."""

    z: Tensor
    codes: Tensor
    loss: Tensor
    metrics: dict[str, Tensor]
