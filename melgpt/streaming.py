"""Sounds of any length in constant memory: columns, mel and samples flow through in pieces.

A piece is as long as the sounds that the prior has learnt.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from melgpt import types
from melgpt.audio.audio import Audio
from melgpt.audio.io import FADE_SECONDS, fade_out, write_pieces
from melgpt.audio.output import Output, Written
from melgpt.audio.picture import show_or_save
from melgpt.audio.sound import write_how
from melgpt.checks import seconds_above_0
from melgpt.decoders.pieces import Noise, refined_pieces
from melgpt.errors import UserError
from melgpt.gpt.sampling import Sampling, random_streams
from melgpt.gpt.steering import Steering
from melgpt.progress import progress
from melgpt.types import MelScale
from melgpt.vocoders.pieces import in_pieces, least_frames

PICTURE_COLUMNS = 1500
"""Most values along the picture of a sound: each is the mean of some frames."""


class LongSound:
    """A sound that is made while it is read: iterating gives its Audio in pieces, the same ones each time."""

    def __init__(
        self,
        model: Any,
        steering: Steering,
        options: Sampling,
        *,
        seconds: float,
        seed: int,
        index: int,
        take: int,
        how: dict[str, Any],
    ) -> None:
        """model: has codec, decoder and vocoder; how: how it is made, for `explain`.

        Raises UserError for a length that is none.
        """
        seconds_above_0(seconds)
        self.codec, self.decoder, self.vocoder = model.codec, model.decoder, model.vocoder
        self.steering, self.options, self.how = steering, options, how
        self.seconds, self.seed, self.index, self.take = seconds, seed, index, take
        scale = self.codec.scale
        self.frames = math.ceil(seconds * scale.rate / scale.hop)
        self._picture = Picture(self.frames)

    def __iter__(self) -> Iterator[Audio]:
        self._picture = Picture(self.frames)
        seconds = 0.0
        with progress("sound", round(self.seconds)) as bar:
            for audio in self._pieces():
                yield audio
                seconds += audio.seconds
                bar.advance(round(seconds) - bar.done)

    def save(self, path: Path | str, **output: Any) -> Written:
        """Write the sound, as `Sound.save`. Raises UserError where a WAV cannot hold it."""
        return save_pieces(path, self, self.codec.scale.rate, self.seconds, Output.parse(output))

    def plot(self, path: Path | str | None = None) -> Any:
        """A picture of the mel, as `Sound.plot`, as far as it was read. Raises UserError if nothing was."""
        if self._picture.empty:
            raise UserError("nothing of this sound was read yet: save it, or read its pieces, then plot it")
        label = self.how.get("label") or ""
        return show_or_save(path, self._picture.values(), self.codec.scale, label, self.seconds)

    def explain(self, path: Path | str) -> None:
        """Write how it was made (JSON)."""
        write_how(path, self.how)

    @torch.inference_mode()
    def _pieces(self) -> Iterator[Audio]:
        scale, network = self.codec.scale, self.codec.config.network
        context, streams = self.steering.prior.config.columns, random_streams(self.seed, 1, self.index)
        # Another stream than that of the codes, which are then the same as those of `generate`.
        phases = torch.Generator().manual_seed((streams[0].initial_seed() + 1) % (1 << 63))
        grids = self.steering.stream(self.codec.config.columns(self.frames), self.options, streams)

        noise = Noise.of_take([streams[0].initial_seed()], self.take, scale.n_mels)
        refined = refined_pieces(self.codec, self.decoder, grids, context, noise)

        def mels() -> Iterator[Tensor]:
            for mel in first_of(refined, self.frames):
                self._picture.add(mel.cpu())
                yield mel

        frames = max(context * network.token_size[1], least_frames(self.vocoder))
        parts = first_of(in_pieces(self.vocoder, mels(), frames, phases), round(self.seconds * scale.rate))
        for samples, last in _with_end(parts, scale):
            audio = Audio(samples.cpu(), scale.rate)
            yield fade_out(audio) if last else audio


def save_pieces(
    path: Path | str,
    pieces: Iterable[types.Audio],
    rate: int,
    seconds: float,
    output: Output | None = None,
) -> Written:
    """Write a sound of so many seconds at `rate` Hz that comes in pieces; 16 bits without `output`.

    Raises UserError where a WAV cannot hold it.
    """
    output = Output() if output is None else output
    output.check_length(Path(path).name, seconds, rate)
    return write_pieces(path, pieces, rate, output)


def first_of(pieces: Iterator[Tensor], length: int) -> Iterator[Tensor]:
    """The pieces [..., n] up to a whole length."""
    for piece in pieces:
        if length <= 0:
            return
        yield piece[..., :length]
        length -= piece.shape[-1]


def _with_end(pieces: Iterator[Tensor], scale: MelScale) -> Iterator[tuple[Tensor, bool]]:
    """The pieces [1, n], and whether each is the last, which is long enough to be faded out."""
    least, held = math.ceil(FADE_SECONDS * scale.rate), None
    for piece in pieces:
        held = piece if held is None else torch.cat([held, piece], dim=-1)
        if held.shape[-1] > least:
            yield held[..., :-least], False
            held = held[..., -least:]
    if held is not None:
        yield held, True


class Picture:
    """A mel of any length in at most PICTURE_COLUMNS columns, each the mean of `each` frames."""

    def __init__(self, frames: int) -> None:
        """frames: length of the mel."""
        self.each = -(-frames // PICTURE_COLUMNS)
        self._columns, self._rest = list[Tensor](), list[Tensor]()

    @property
    def empty(self) -> bool:
        return not self._columns

    def add(self, mel: Tensor) -> None:
        """The next frames [1, F, n]."""
        values = torch.cat([*self._rest, mel[0]], dim=-1)
        whole = values.shape[-1] // self.each * self.each
        self._columns.append(values[:, :whole].unflatten(1, (-1, self.each)).mean(-1))
        self._rest = [values[:, whole:]]

    def values(self) -> Tensor:
        """[F, columns]"""
        rest = [part.mean(1, keepdim=True) for part in self._rest if part.shape[1]]
        return torch.cat([*self._columns, *rest], dim=1)
