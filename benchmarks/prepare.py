"""`prepare` of a folder of OGG clips beside decoding them alone (the limit), with all cores."""

import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.machine import Machine
from benchmarks.measure import Row, row
from benchmarks.memory import WithWorkers
from melgpt.audio.io import read
from melgpt.data.config import DataConfig
from melgpt.data.prepare import prepare
from melgpt.types import MelScale

CLIPS, SECONDS, RATE = 400, 5, 44100


def rows(machine: Machine, quick: bool) -> list[Row]:
    """One row."""
    clips = CLIPS // 8 if quick else CLIPS
    with tempfile.TemporaryDirectory() as folder:
        sounds, out = Path(folder) / "in", Path(folder) / "out"
        files = make_clips(sounds, clips)
        cores = os.cpu_count() or 1

        def decode() -> None:
            with ProcessPoolExecutor(cores) as pool:
                list(pool.map(_samples, files, chunksize=16))

        def ours() -> None:
            shutil.rmtree(out, ignore_errors=True)
            prepare(sounds, out, DataConfig(), MelScale(), workers=cores)

        limit = row("", {"ours": decode}, 1).ours
        name = f"prepare {clips} OGG clips of {SECONDS} s, {cores} processes"
        return [
            row(
                name,
                {"ours": WithWorkers(ours)},
                1 if quick else 3,
                limit=limit,
                note="limit: decoding alone",
            )
        ]


def make_clips(folder: Path, clips: int, suffix: str = "ogg") -> list[Path]:
    """Files of noise bursts, another one each: as hard to decode as sound, and no duplicates."""
    files = []
    for number in range(clips):
        rng = np.random.default_rng(number)
        level = np.repeat(rng.random(10 * SECONDS), RATE // 10)
        path = folder / f"class{number % 10}" / f"{number:04d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * level * rng.standard_normal(len(level)), RATE)
        files.append(path)
    return files


def _samples(path: Path) -> int:
    return read(path).samples.shape[-1]
