"""A codec and a vocoder that belong together: sound → codes → sound, of any length in constant memory."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from melgpt import types
from melgpt.audio.audio import Audio
from melgpt.audio.given import Sounds, as_audio, each
from melgpt.audio.io import resample, resample_blocks
from melgpt.audio.mel_blocks import analyse_blocks
from melgpt.codec.codec import Codec
from melgpt.codec.pieces import code_pieces, mel_pieces
from melgpt.data.codes_file import as_codes
from melgpt.errors import UserError
from melgpt.native.wanted import kernels_if
from melgpt.runtime import RuntimeConfig
from melgpt.streaming import first_of
from melgpt.types import Codes
from melgpt.vocoders.pieces import in_pieces, least_frames

PIECE_SECONDS = 60
"""What is encoded or decoded at a time; what is no longer is worked on as a whole."""


class Recoder:
    """Encodes and decodes sounds. What is longer than PIECE_SECONDS goes in pieces that overlap."""

    device: torch.device

    def __init__(
        self, codec: Codec, vocoder: torch.nn.Module, fingerprints: dict[str, str], runtime: RuntimeConfig
    ) -> None:
        """fingerprints: that of each part. Raises UserError where the parts do not fit each other."""
        if vocoder.scale != codec.scale:
            raise UserError(
                f"codec and vocoder have different mel scales: the codec's is {codec.scale!r}, "
                f"the vocoder's is {vocoder.scale!r}"
            )
        self.codec, self.vocoder = codec, vocoder
        self.fingerprints, self.runtime = fingerprints, runtime

    @property
    def _column_frames(self) -> int:
        return self.codec.config.network.token_size[1]

    @property
    def _piece_columns(self) -> int:
        return self.codec.config.columns(math.ceil(PIECE_SECONDS * self.codec.scale.frames_per_second))

    def encode(self, sound: Sounds) -> Any:
        """A sound, any rate and length → its Codes; a list of sounds → a list.

        sound: an Audio, or the path of a sound or video file. Raises UserError for what is no sound.
        """
        return each(sound, lambda one: self._encode([resample(as_audio(one), self.codec.scale.rate)]))

    def encode_blocks(self, blocks: Iterable[types.Audio]) -> Codes:
        """`encode` of a sound in blocks [1, T], as `audio.io.read_blocks` gives them, in constant memory."""
        return self._encode(resample_blocks(blocks, self.codec.scale.rate))

    @torch.inference_mode()
    def _encode(self, blocks: Iterable[types.Audio]) -> Codes:
        """Blocks of a sound at the codec's rate → its codes."""
        frames = samples = 0

        def counted() -> Iterator[types.Audio]:
            nonlocal samples
            for block in blocks:
                samples += block.samples.shape[-1]
                yield block

        def mels() -> Iterator[Tensor]:
            nonlocal frames
            for mel in analyse_blocks(counted(), self.codec.scale):
                frames += mel.shape[-1]
                yield mel

        with kernels_if(self.runtime.compile != "off"):
            grids = [grid.cpu() for grid in code_pieces(self.codec, mels(), self._piece_columns)]
        codec, grid = self.fingerprints["codec"], torch.cat(grids, dim=-1)
        return Codes(grid, self.codec.codebook_size, codec, frames, samples)

    def decode(self, codes: Any) -> Any:
        """Codes, or the path of a file of codes → Audio as long as the one that was encoded; a list → a list.

        Raises UserError for codes of another codec.
        """
        return each(codes, lambda one: self._decode(as_codes(one)))

    def _decode(self, codes: Codes) -> Audio:
        pieces = [audio.samples for audio in self.decode_blocks(codes)]
        return Audio(torch.cat(pieces, dim=-1), self.codec.scale.rate)

    @torch.inference_mode()
    def decode_blocks(self, codes: Codes) -> Iterator[Audio]:
        """`decode` in blocks [B, T], in constant memory."""
        frames, samples = self._check(codes)
        mels = first_of(mel_pieces(self.codec, iter([codes.grid]), self._piece_columns), frames)
        length = max(self._piece_columns * self._column_frames, least_frames(self.vocoder))
        for piece in first_of(in_pieces(self.vocoder, mels, length), samples):
            yield Audio(piece.cpu(), self.codec.scale.rate)
            samples -= piece.shape[-1]
        if samples:
            # The mel lacks the frames whose windows reach past the end.
            yield Audio(torch.zeros(len(codes.grid), samples), self.codec.scale.rate)

    def seconds(self, codes: Codes) -> float:
        """Length of the sound that codes become. Raises UserError for codes of another codec."""
        return self._check(codes)[1] / self.codec.scale.rate

    def reconstruct(self, sound: Sounds) -> Any:
        """Through the codec and back, what the codes keep of a sound: Audio of its length, to the sample.

        sound: an Audio, the path of a file, or a list of these, which gives a list.
        """
        return each(sound, lambda one: self.decode(self.encode(one)))

    def _check(self, codes: Codes) -> tuple[int, int]:
        """Mel frames and samples that codes stand for. Raises UserError for codes of another codec."""
        if codes.codec != self.fingerprints["codec"]:
            raise UserError(
                f"these codes were made by codec {codes.codec}, this model has codec "
                f"{self.fingerprints['codec']}: encode the sound again with this model"
            )
        rows, most = self.codec.config.rows, codes.grid.shape[-1] * self._column_frames
        if not codes.grid.numel() or int(codes.grid.min()) < 0:
            raise UserError("codes are numbers from 0 on, at least a column of them")
        if codes.grid.shape[-2] != rows or int(codes.grid.max()) >= self.codec.codebook_size:
            raise UserError(
                f"this codec reads {rows} rows of codes below {self.codec.codebook_size}, not "
                f"{codes.grid.shape[-2]} rows of codes up to {int(codes.grid.max())}"
            )
        if codes.frames is not None and not 0 < codes.frames <= most:
            raise UserError(
                f"{codes.grid.shape[-1]} columns of codes are up to {most} frames, not {codes.frames}"
            )
        frames, scale = most if codes.frames is None else codes.frames, self.codec.scale
        samples = frames * scale.hop if codes.samples is None else codes.samples
        if not 0 < samples <= most * scale.hop + scale.n_fft:
            raise UserError(f"{frames} frames of codes are not a sound of {samples} samples")
        return frames, samples
