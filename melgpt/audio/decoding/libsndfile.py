"""Decodes WAV, AIFF, AU, CAF, FLAC, Ogg and more with libsndfile; where it fails, FFmpeg goes on."""

from dataclasses import replace

import soundfile

from melgpt.audio.decoding.block import BLOCK, Block, Decoding, Ending
from melgpt.audio.decoding.ffmpeg import decode_ffmpeg
from melgpt.audio.decoding.part import Part

_LEAST_ROOM = 4096
"""More may follow than a header says."""


def decode_libsndfile(part: Part) -> Decoding:
    """The sound of a part. Raises AudioError where neither decoder understands it."""
    decoded, understood = 0.0, False
    try:
        with part.opened() as source, _FromStart(source) as file:
            rate, samples, understood = int(file.samplerate), 0, True
            promised = _promised(file) or part.promised
            while len(block := file.read(_room(file, samples), dtype="float32", always_2d=True)):
                samples += len(block)
                decoded = samples / rate
                yield Block(block, rate)
            return Ending(decoded, promised, exact=True)
    except (soundfile.LibsndfileError, TypeError):
        pass  # a TypeError: soundfile takes whatever is called .raw for samples without a header
    ending = yield from decode_ffmpeg(part, after=decoded)
    whole = ending.promised is None or ending.reached_end
    if understood and whole and not ending.damage:
        return replace(ending, damage="damaged data")
    return ending


class _FromStart(soundfile.SoundFile):
    """A sound file that is read once from its beginning to its end.

    soundfile seeks after each block of a seekable file, which repeats sound behind a damaged Ogg page.
    """

    def seekable(self) -> bool:
        return False


def _room(file: soundfile.SoundFile, samples: int) -> int:
    """Samples to ask for next: no more than there may be, because room for a whole block costs time."""
    return max(_LEAST_ROOM, min(BLOCK, file.frames - samples))


def _promised(file: soundfile.SoundFile) -> float | None:
    """Seconds by the header. Ogg files have none: their length is what stands on the last page."""
    exact = 0 < file.frames < 2**62 and file.format != "OGG"
    return file.frames / file.samplerate if exact else None
