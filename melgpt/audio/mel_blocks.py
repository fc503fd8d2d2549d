"""The mel of a sound that comes in blocks: the very frames of the whole, in the memory of one block."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from melgpt.audio.mel import ONE_SHOT_SECONDS, analyse
from melgpt.types import Audio, MelScale


def analyse_blocks(blocks: Iterable[Audio], scale: MelScale) -> Iterator[Tensor]:
    """Blocks of a sound, samples [B, T], at the scale's rate → the next frames [B, F, n] of its mel.

    Together they are what `analyse` makes of the whole. Raises UserError for another sampling rate.
    """
    half = scale.n_fft // 2
    # Frames before a block whose windows reach into it, or that the mirror at its beginning spoils.
    back = -(-half // scale.hop)
    least = round(ONE_SHOT_SECONDS * scale.rate) + scale.n_fft
    held: Tensor | None = None
    known = 0  # frames at the beginning of what is held that were given already
    for block in blocks:
        held = block.samples if held is None else torch.cat([held, block.samples], dim=-1)
        rate = block.rate
        if held.shape[-1] < least:
            continue
        frames = analyse(Audio(held, rate), scale).values[..., known:]
        yield frames
        done = known + frames.shape[-1]
        held = held[..., max(0, done - back) * scale.hop :].clone()
        known = min(done, back)
    if held is None:
        return
    values = analyse(Audio(held, rate), scale).values
    if known:
        # Of a rest, which is no one-shot, frames whose windows reach past the end are left out.
        values = values[..., known : max(known, 1 + (held.shape[-1] - half) // scale.hop)]
    if values.shape[-1]:
        yield values
