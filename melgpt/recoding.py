"""Codec, decoder and vocoder that belong together: sound → codes → sound, any length in constant memory."""

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
from melgpt.checks import whole
from melgpt.codec.codec import Codec
from melgpt.codec.pieces import code_pieces
from melgpt.data.codes_file import as_codes
from melgpt.decoders.base import MelDecoder
from melgpt.decoders.none import NoDecoder, NoDecoderConfig
from melgpt.decoders.pieces import Noise, refined_pieces
from melgpt.errors import UserError
from melgpt.native.wanted import kernels_if
from melgpt.runtime import RuntimeConfig
from melgpt.streaming import first_of
from melgpt.types import Codes
from melgpt.vocoders.base import Vocoder
from melgpt.vocoders.pieces import in_pieces, least_frames

PIECE_SECONDS = 60
"""What is encoded or decoded at a time; what is no longer is worked on as a whole."""


class Recoder:
    """Encodes and decodes sounds. What is longer than PIECE_SECONDS goes in pieces that overlap."""

    device: torch.device

    def __init__(
        self,
        codec: Codec,
        vocoder: Vocoder,
        decoder: MelDecoder | None,
        fingerprints: dict[str, str],
        runtime: RuntimeConfig,
    ) -> None:
        """decoder: None where the codec's mels are heard as they are; fingerprints: that of each part.

        Raises UserError where the parts do not fit each other.
        """
        decoder = NoDecoder(NoDecoderConfig(mel=codec.scale)) if decoder is None else decoder
        if not isinstance(vocoder, Vocoder):
            raise UserError(f"the vocoder {type(vocoder).__name__} must be a melgpt.vocoders.base.Vocoder")
        for name, part in (("decoder", decoder), ("vocoder", vocoder)):
            if part.scale != codec.scale:
                raise UserError(
                    f"codec and {name} have different mel scales: the codec's is {codec.scale!r}, "
                    f"the {name}'s is {part.scale!r}"
                )
        self.codec, self.decoder, self.vocoder = codec, decoder, vocoder
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

    def decode(self, codes: Any, *, take: int = 0) -> Any:
        """Codes, or the path of a file of codes → Audio as long as the one that was encoded; a list → a list.

        take: another number gives other detail to the same codes, where the model has a decoder that draws
        it. Raises UserError for codes of another codec.
        """
        take = whole("take", take, 0)
        return each(codes, lambda one: self._decode(as_codes(one), take))

    def _decode(self, codes: Codes, take: int) -> Audio:
        pieces = [audio.samples for audio in self.decode_blocks(codes, take=take)]
        return Audio(torch.cat(pieces, dim=-1), self.codec.scale.rate)

    @torch.inference_mode()
    def decode_blocks(self, codes: Codes, *, take: int = 0) -> Iterator[Audio]:
        """`decode` in blocks [B, T], in constant memory."""
        frames, samples = self._check(codes)
        noise = Noise.of_take([0] * len(codes.grid), take, self.codec.scale.n_mels)
        grids, columns = iter([codes.grid]), self._piece_columns
        mels = first_of(refined_pieces(self.codec, self.decoder, grids, columns, noise), frames)
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

    def reconstruct(self, sound: Sounds, *, take: int = 0) -> Any:
        """Through the codec and back, what the codes keep of a sound: Audio of its length, to the sample.

        sound: an Audio, the path of a file, or a list of these, which gives a list; take: see `decode`.
        """
        return each(sound, lambda one: self.decode(self.encode(one), take=take))

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
