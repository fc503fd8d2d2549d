"""The codec at the seed's size: a 10-second clip to codes and back; plain is float32 in the usual layout.

Codes are taken in float32 by both, decoded by ours in the precision that `auto` takes.
"""

import copy

import torch

from benchmarks.machine import Machine
from benchmarks.measure import Row, row
from melgpt.codec.codec import Codec
from melgpt.runtime import RuntimeConfig
from melgpt.training.recipe import Recipe

FRAMES = 848
ENCODE, DECODE = 143.0e9, 261.3e9
"""FLOP of a clip, counted with torch.utils.flop_counter."""


@torch.inference_mode()
def rows(machine: Machine, quick: bool) -> list[Row]:
    """Encoding and decoding."""
    recipe = Recipe.read("seed_vas")
    ours = Codec(recipe.codec)
    plain = copy.deepcopy(ours)
    device = RuntimeConfig().place([ours])
    RuntimeConfig(precision="fp32", compile="off").place([plain])
    plain.lay_out(torch.contiguous_format)
    mel = torch.rand(1, recipe.mel.n_mels, FRAMES, device=device)
    codes = ours.tokenize(mel)
    values = mel[:, None] * 2 - 1
    z = plain.quantizer.lookup(codes)
    rounds = 2 if quick else 5
    note = "limit: the products at the speed of a large one"
    return [
        row(
            "codec encode, the seed's size, 10 s",
            {"plain": lambda: plain.encode(values), "ours": lambda: ours.tokenize(mel)},
            rounds,
            limit=ENCODE / machine.matrix,
            note=note,
        ),
        row(
            "codec decode, the seed's size, 10 s",
            {"plain": lambda: plain.decode(z), "ours": lambda: ours.detokenize(codes)},
            rounds,
            limit=DECODE / machine.best_matrix,
            note=note,
        ),
    ]
