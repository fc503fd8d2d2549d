"""The picture of the program as code: sound → mel → codes → tokens, and all the way back.

`load` opens a model folder; `SoundModel` encodes, decodes and generates; `Sound` is one result.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from melgpt import checkpoint
from melgpt.audio.io import fade_out, resample, write
from melgpt.audio.mel import analyse
from melgpt.codec.codec import Codec
from melgpt.errors import UserError
from melgpt.gpt.long import sample_long, strides
from melgpt.gpt.order import unflatten
from melgpt.gpt.prior import Prior
from melgpt.gpt.sampling import Sampling, random_streams, sample
from melgpt.gpt.steering import Steering, takes_label
from melgpt.paths import atomic
from melgpt.runtime import choose_device
from melgpt.types import Audio, Codes, Mel

BATCH = 16
"""Clips that are written at the same time."""
MOST_SECONDS = 600
"""Longest sound that can be asked for: the codec and the vocoder hold a whole sound in memory."""


@dataclass(frozen=True)
class Sound:
    """A new sound and all that made it."""

    audio: Audio
    mel: Mel
    codes: Codes
    how: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path | str) -> None:
        """Write the sound; WAV, FLAC or OGG by the suffix."""
        write(path, self.audio)

    def plot(self, path: Path | str) -> None:
        """Write a picture of the mel (PNG)."""
        from melgpt.audio.picture import save_mel

        save_mel(Path(path), self.mel.values[0], self.mel.scale, title=self.how.get("label") or "")

    def explain(self, path: Path | str) -> None:
        """Write how it was made (JSON): seed, options, fingerprints of the model."""
        with atomic(Path(path)) as temporary:
            temporary.write_text(json.dumps(self.how, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class SoundModel:
    """A codec, a vocoder and, where it was trained, a prior that belong together."""

    def __init__(
        self, codec: Codec, vocoder: torch.nn.Module, prior: Prior | None, *, fingerprints: dict[str, str]
    ) -> None:
        """fingerprints: that of each part. Raises UserError where the parts do not fit each other."""
        if vocoder.scale != codec.scale:
            raise UserError(
                f"codec and vocoder have different mel scales: the codec's is {codec.scale!r}, "
                f"the vocoder's is {vocoder.scale!r}"
            )
        if prior is not None and (prior.config.codebook, prior.config.rows) != (
            codec.codebook_size,
            codec.config.rows,
        ):
            raise UserError(
                f"the prior writes {prior.config.rows} rows of {prior.config.codebook} codes, the codec "
                f"reads {codec.config.rows} rows of {codec.codebook_size}: they were not trained together"
            )
        self.device = choose_device()
        self.codec = codec.eval().to(self.device)
        self.vocoder = vocoder.eval().to(self.device)
        self.prior = None if prior is None else prior.eval().to(self.device)
        self.fingerprints = fingerprints

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes that can be asked for; none where a video alone steers the model."""
        return () if self.prior is None or not takes_label(self.prior) else self.prior.config.labels

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises UserError for the first label that is not known."""
        for label in labels:
            self._prior().label_index(label)

    @property
    def max_seconds(self) -> float:
        """Longest sound that the prior writes in one go; longer ones are written in a window that slides."""
        return self._prior().config.columns * self._column_frames / self.codec.scale.frames_per_second

    @property
    def _column_frames(self) -> int:
        return self.codec.config.network.token_size[1]

    @torch.inference_mode()
    def encode(self, audio: Audio) -> Codes:
        """One sound, any rate and length → its codes."""
        mel = analyse(resample(audio, self.codec.scale.rate), self.codec.scale)
        grid = self.codec.tokenize(mel.values.to(self.device)).cpu()
        return Codes(grid, self.codec.codebook_size, self.fingerprints["codec"], mel.values.shape[-1])

    @torch.inference_mode()
    def decode(self, codes: Codes) -> Audio:
        """Codes → sound. Raises UserError for codes of another codec."""
        return self._synthesise(self._mel(codes), None)

    def reconstruct(self, audio: Audio) -> Audio:
        """Through the codec and back: what the codes keep of a sound."""
        restored = self.decode(self.encode(audio))
        # The mel leaves out the last fraction of a frame: the sound gets its own length back, to the sample.
        length = round(audio.seconds * restored.rate)
        return Audio(
            F.pad(restored.samples, (0, max(0, length - restored.samples.shape[-1])))[..., :length],
            restored.rate,
        )

    @torch.inference_mode()
    def generate(
        self,
        *,
        label: str | None = None,
        features: torch.Tensor | None = None,
        n: int = 1,
        seconds: float | None = None,
        seed: int = 0,
        **sampling: float,
    ) -> list[Sound]:
        """n new sounds of a class, or for a video, or for a video with a class, as the model was trained.

        features: [L, D] of a video, see data.features.read_joined. seconds: length of each sound. Up to the
        model's own length one that ends earlier by itself is followed by silence; beyond it no sound ends
        before its time. Without it each is as long as it wants to be. sampling: temperature, top_k, top_p,
        min_p, guidance, see gpt.sampling.Sampling. Sound i depends on seed and i, not on n.
        Raises UserError for an unknown label and for what the model cannot be steered by.
        """
        steering = Steering.of(self._prior(), label, features)
        options = Sampling.parse(sampling)
        columns = self._columns(seconds)
        asked: dict[str, Any] = {
            "label": steering.label,
            "seed": seed,
            "seconds": seconds,
            "sampling": options.plain(),
        }
        if steering.features is not None:
            asked["features"] = list(steering.features.shape)
        sounds: list[Sound] = []
        for first in range(0, n, BATCH):
            streams = random_streams(seed, min(BATCH, n - first), first)
            grids = self._write(steering, columns, options, streams)
            for i, (grid, stream) in enumerate(zip(grids, streams, strict=True), first):
                sounds.append(self._sound(grid, stream, seconds, {**asked, "index": i}))
        return sounds

    def _write(
        self, steering: Steering, columns: int, options: Sampling, streams: Sequence[torch.Generator]
    ) -> list[torch.Tensor]:
        """Code grids [1, H, W], one for each stream."""
        prior, clips = steering.prior, len(streams)
        rows, nothing = prior.config.rows, prior.conditioning.nothing(clips)
        if columns > prior.config.columns:
            tokens: Sequence[torch.Tensor] = sample_long(
                prior.gpt,
                lambda column: steering.prefix(clips, column),
                nothing,
                plan=strides(columns, prior.config.columns),
                rows=rows,
                codes=prior.config.codebook,
                sampling=options,
                streams=streams,
            ).unbind()
        else:
            tokens = sample(
                prior.gpt,
                steering.prefix(clips),
                nothing,
                length=columns * rows,
                end=prior.end,
                rows=rows,
                sampling=options,
                streams=streams,
            )
        return [unflatten(row[None], rows).cpu() for row in tokens]

    def _sound(
        self, grid: torch.Tensor, stream: torch.Generator, seconds: float | None, how: dict[str, Any]
    ) -> Sound:
        codes = Codes(grid, self.codec.codebook_size, self.fingerprints["codec"])
        mel, scale = self._mel(codes), self.codec.scale
        ended = mel.values.shape[-1] / scale.frames_per_second
        if seconds is not None:
            frames = math.ceil(seconds * scale.rate / scale.hop)
            mel = Mel(F.pad(mel.values[..., :frames], (0, max(0, frames - mel.values.shape[-1]))), scale)
        audio = self._synthesise(mel, stream)
        if seconds is not None:
            audio = Audio(audio.samples[..., : round(seconds * scale.rate)], audio.rate)
            ended = min(ended, seconds)
        if codes.grid.shape[-1] == self._prior().config.columns or ended == seconds:
            audio = fade_out(audio)
        made = {"ended_at_seconds": round(ended, 3), "model": self.fingerprints, "melgpt": _version()}
        return Sound(audio, mel, codes, {**how, **made})

    def _mel(self, codes: Codes) -> Mel:
        if codes.codec != self.fingerprints["codec"]:
            raise UserError(
                f"these codes were made by codec {codes.codec}, this model has codec "
                f"{self.fingerprints['codec']}: encode the sound again with this model"
            )
        rows, most = self.codec.config.rows, codes.grid.shape[-1] * self._column_frames
        if codes.grid.shape[-2] != rows or int(codes.grid.max()) >= self.codec.codebook_size:
            raise UserError(
                f"this codec reads {rows} rows of codes below {self.codec.codebook_size}, not "
                f"{codes.grid.shape[-2]} rows of codes up to {int(codes.grid.max())}"
            )
        if codes.frames is not None and not 0 < codes.frames <= most:
            raise UserError(
                f"{codes.grid.shape[-1]} columns of codes are up to {most} frames, not {codes.frames}"
            )
        values = self.codec.detokenize(codes.grid.to(self.device)).cpu()
        return Mel(values if codes.frames is None else values[..., : codes.frames], self.codec.scale)

    def _synthesise(self, mel: Mel, stream: torch.Generator | None) -> Audio:
        return Audio(self.vocoder(mel.values.to(self.device), generator=stream).cpu(), mel.scale.rate)

    def _columns(self, seconds: float | None) -> int:
        prior = self._prior()
        if seconds is None:
            return prior.config.columns
        if not 0 < seconds <= MOST_SECONDS:
            raise UserError(f"seconds must lie above 0 and up to {MOST_SECONDS}, not {seconds}")
        return math.ceil(seconds * self.codec.scale.frames_per_second / self._column_frames - 1e-6)

    def _prior(self) -> Prior:
        if self.prior is None:
            raise UserError(
                "this model folder has no prior.safetensors: it can encode and decode, not generate"
            )
        return self.prior


def load(folder: Path | str) -> SoundModel:
    """Open a model folder. Raises UserError for a missing, damaged or foreign part."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no such model folder: {folder}")
    parts = {
        family: checkpoint.load(folder / f"{family}.safetensors", family) for family in ("codec", "vocoder")
    }
    marks = {family: checkpoint.describe(folder / f"{family}.safetensors").fingerprint for family in parts}
    prior, prior_file = None, folder / "prior.safetensors"
    if prior_file.exists():
        prior = checkpoint.load(prior_file, "prior")
        description = checkpoint.describe(prior_file)
        marks["prior"] = description.fingerprint
        if description.parents.get("codec") != marks["codec"]:
            raise UserError(
                f"{prior_file} was trained on codec {description.parents.get('codec')}, the folder holds "
                f"codec {marks['codec']}: train the prior again or bring back its codec"
            )
    return SoundModel(parts["codec"], parts["vocoder"], prior, fingerprints=marks)


def _version() -> str:
    from importlib.metadata import version

    return version("melspec-gpt-vqvae")
