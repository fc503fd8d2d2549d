"""Sounds of any length in constant memory: columns, mel and samples flow through in pieces.

The codec normalises over the whole map that it decodes, so that pieces are never quite the whole: each is as
long as the sounds that the prior has learnt and overlaps the next by a quarter, in which the mels are
cross-faded. A grid of one piece is decoded as it is as a whole.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from melgpt.audio.audio import Audio
from melgpt.audio.io import FADE_SECONDS, fade_out, write_pieces
from melgpt.audio.output import Output, Written
from melgpt.audio.picture import show_or_save
from melgpt.audio.sound import write_how
from melgpt.checks import seconds_above_0
from melgpt.codec.codec import Codec
from melgpt.errors import UserError
from melgpt.gpt.sampling import Sampling, random_streams
from melgpt.gpt.steering import Steering
from melgpt.progress import progress
from melgpt.types import MelScale
from melgpt.vocoders.pieces import OVERLAP, in_pieces

PICTURE_COLUMNS = 1500
"""Most values along the picture of a sound: each is the mean of some frames."""


class LongSound:
    """A sound that is made while it is read: iterating gives its Audio in pieces, the same ones each time."""

    def __init__(
        self,
        codec: Codec,
        vocoder: Any,
        steering: Steering,
        options: Sampling,
        *,
        seconds: float,
        seed: int,
        index: int,
        how: dict[str, Any],
    ) -> None:
        """how: how it is made, for `explain`. Raises UserError for a length that is none."""
        seconds_above_0(seconds)
        self.codec, self.vocoder, self.steering, self.options = codec, vocoder, steering, options
        self.seconds, self.seed, self.index, self.how = seconds, seed, index, how
        scale = codec.scale
        self.frames = math.ceil(seconds * scale.rate / scale.hop)
        self._picture = _Picture(self.frames)

    def __iter__(self) -> Iterator[Audio]:
        self._picture = _Picture(self.frames)
        seconds = 0.0
        with progress("sound", round(self.seconds)) as bar:
            for audio in self._pieces():
                yield audio
                seconds += audio.seconds
                bar.advance(round(seconds) - bar.done)

    def save(self, path: Path | str, **output: Any) -> Written:
        """Write the sound, as `Sound.save`. Raises UserError where a WAV cannot hold it."""
        rate, how = self.codec.scale.rate, Output.parse(output)
        how.check_length(Path(path).name, self.seconds, rate)
        return write_pieces(path, self, rate, how)

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

        def mels() -> Iterator[Tensor]:
            for mel in _first(mel_pieces(self.codec, grids, context), self.frames):
                self._picture.add(mel.cpu())
                yield mel

        # Half of a piece is new at least.
        shared = 2 * getattr(self.vocoder, "reach", OVERLAP / 2)
        frames = max(context * network.token_size[1], round(2 * shared))
        parts = _first(in_pieces(self.vocoder, mels(), frames, phases), round(self.seconds * scale.rate))
        for samples, last in _with_end(parts, scale):
            audio = Audio(samples.cpu(), scale.rate)
            yield fade_out(audio) if last else audio


def mel_pieces(codec: Codec, grids: Iterator[Tensor], columns: int) -> Iterator[Tensor]:
    """The next frames [1, F, n] of the mel of a grid that comes in columns [1, H, n].

    So many columns, at least 2, are decoded together; a grid of no more gives what `codec.detokenize` does.
    """
    columns = max(columns, 2)
    frames, shared = codec.config.network.token_size[1], max(1, columns // 4)
    device = codec.before.weight.device
    tail: Tensor | None = None
    for grid, new, last in _windows(grids, columns, columns - shared):
        mel = codec.detokenize(grid.to(device))[..., (grid.shape[-1] - new) * frames :]
        if tail is not None:
            rise = torch.linspace(0, 1, tail.shape[-1], device=device)
            mel[..., : tail.shape[-1]] = tail.lerp(mel[..., : tail.shape[-1]], rise)
        if last:
            yield mel
        else:
            yield mel[..., : -shared * frames]
            tail = mel[..., -shared * frames :].clone()


def _windows(grids: Iterator[Tensor], columns: int, step: int) -> Iterator[tuple[Tensor, int, bool]]:
    """Windows [1, H, columns] of a grid, how many of their last columns are new or blended, whether the last.

    Each begins `step` columns after the one before; the last one ends with the grid, and is as long.
    """
    held: Tensor | None = None
    begun = False
    for grid in grids:
        held = grid if held is None else torch.cat([held, grid], dim=-1)
        # The columns of the window before stay, for a last window that needs more of them.
        while held.shape[-1] > (step if begun else 0) + columns:
            first = step if begun else 0
            held = held[..., first:]
            yield held[..., :columns], columns, False
            begun = True
    if held is not None:
        rest = held.shape[-1] - (step if begun else 0)
        yield held[..., -columns:], rest, True


def _first(pieces: Iterator[Tensor], length: int) -> Iterator[Tensor]:
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


class _Picture:
    """A mel of any length in at most PICTURE_COLUMNS columns."""

    def __init__(self, frames: int) -> None:
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
