"""How cost grows: with tokens of a sound, sounds at a time, seconds through the codec, clips prepared."""

import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.curves import Curve
from benchmarks.machine import Machine
from benchmarks.measure import Row
from benchmarks.prepare import make_clips
from melgpt.codec.codec import Codec
from melgpt.data.config import DataConfig
from melgpt.data.prepare import prepare
from melgpt.gpt.long import sample_long, strides
from melgpt.gpt.model import GPT
from melgpt.gpt.sampling import Sampling, random_streams
from melgpt.nn.transformer import BlockConfig
from melgpt.runtime import RuntimeConfig, choose_device
from melgpt.training.recipe import Recipe
from melgpt.types import MelScale

LAYERS, WIDTH, HEADS, CODES, ROWS = 4, 256, 4, 1024, 5
NAME = f"GPT {LAYERS} layers / {WIDTH}"
WINDOW, QUICK_WINDOW = 265, 65
"""Tokens; the first are those of the originals' longest sound."""
TOKENS, QUICK_TOKENS = (265, 530, 1000, 2000, 4000, 8000), (65, 130, 260)
BATCHES, QUICK_BATCHES = (1, 2, 4, 8, 16, 32, 64), (1, 4, 16)
SECONDS, QUICK_SECONDS = (1, 2, 5, 10, 20, 30, 60), (1, 5, 20)
CLIPS, QUICK_CLIPS = (50, 100, 200, 400), (10, 20, 40)


def rows(machine: Machine, quick: bool) -> Iterator[Row]:
    """Curve after curve."""
    yield from _gpt(quick)
    yield from _codec(quick)
    yield from _prepare(quick)


def _gpt(quick: bool) -> Iterator[Row]:
    lengths, limit = (QUICK_TOKENS, QUICK_WINDOW) if quick else (TOKENS, WINDOW)
    blocks = BlockConfig(layers=LAYERS, width=WIDTH, heads=HEADS, dropout=0.0)
    gpt = GPT(blocks, vocabulary=CODES, context=1 + max(lengths), rows=ROWS)
    RuntimeConfig().place([gpt])  # as a model that is opened
    for name, window in (("a window that slides", limit), ("all in the context", max(lengths))):
        ways = {float(n): partial(_sample, gpt, n, min(n, window), 1) for n in lengths}
        yield from Curve(f"{NAME}, {name}", "tokens", "{:g} tokens", tokens=1).rows(ways, 1)
    sizes = QUICK_BATCHES if quick else BATCHES
    batches = {float(n): partial(_sample, gpt, limit, limit, n) for n in sizes}
    curve = Curve(f"{NAME}, {limit} tokens each", "clips at a time", "batch {:g}", tokens=limit)
    yield from curve.rows(batches, 1 if quick else 3)


def _sample(gpt: GPT, tokens: int, window: int, batch: int) -> None:
    nothing = torch.zeros(batch, 1, WIDTH, device=gpt.head.weight.device)
    sample_long(
        gpt,
        lambda column: nothing,
        nothing,
        plan=strides(tokens // ROWS, window // ROWS),
        rows=ROWS,
        codes=CODES,
        sampling=Sampling(),
        streams=random_streams(0, batch),
    )


def _codec(quick: bool) -> Iterator[Row]:
    """At the size of `tiny`, where all is convolutions."""
    recipe, device = Recipe.read("tiny"), choose_device()
    codec = Codec(recipe.codec).eval().to(device)
    seconds = QUICK_SECONDS if quick else SECONDS
    encode, decode = {}, {}
    for n in seconds:
        mel = torch.rand(1, recipe.mel.n_mels, round(n * recipe.mel.frames_per_second), device=device)
        with torch.inference_mode():
            codes = codec.tokenize(mel)
        encode[float(n)] = partial(_without_gradients, codec.tokenize, mel)
        decode[float(n)] = partial(_without_gradients, codec.detokenize, codes)
    for name, ways in (("codec encode", encode), ("codec decode", decode)):
        yield from Curve(f"{name}, recipe tiny", "seconds of sound", "{:g} s").rows(ways, 3 if quick else 5)


@torch.inference_mode()
def _without_gradients(work, values):  # type: ignore[no-untyped-def]
    return work(values)


def _prepare(quick: bool) -> Iterator[Row]:
    """OGG files of noise, with one thread and with two."""
    clips = QUICK_CLIPS if quick else CLIPS
    with tempfile.TemporaryDirectory() as folder:
        sounds = {n: Path(folder) / f"{n}" for n in clips}
        for n, source in sounds.items():
            make_clips(source, n)
        for workers in (1,) if quick else (1, 2):
            ways = {float(n): partial(_prepare_once, source, workers) for n, source in sounds.items()}
            name = f"prepare, {workers} thread{'s' if workers > 1 else ''}"
            yield from Curve(name, "clips", "{:g} clips").rows(ways, 1)


def _prepare_once(source: Path, workers: int) -> None:
    out = source.with_suffix(".out")
    prepare(source, out, DataConfig(), MelScale(), workers=workers)
    shutil.rmtree(out)
