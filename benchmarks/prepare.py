"""`prepare` of folders of OGG clips beside decoding them alone (the limit), with all cores and with one.

Noise, and real clips where there are any: in ../shared/data/esc10 or in the folder that MELGPT_CLIPS names.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.machine import Machine
from benchmarks.measure import Row, row
from melgpt.audio.io import read
from melgpt.data.config import DataConfig
from melgpt.data.prepare import prepare
from melgpt.types import MelScale

CLIPS, SECONDS, RATE = 400, 5, 44100
REAL = Path(__file__).parents[2] / "shared/data/esc10"


def rows(machine: Machine, quick: bool) -> list[Row]:
    """One row for each corpus and number of threads."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        noise = Path(folder) / "noise"
        make_clips(noise, CLIPS // 8 if quick else CLIPS)
        return [
            _row(name, sounds, out, threads, 1 if quick else 3)
            for name, sounds in (("noise", noise), *_real())
            for threads in sorted({os.cpu_count() or 1, 1}, reverse=True)
        ]


def _real() -> Iterator[tuple[str, Path]]:
    folder = Path(os.environ.get("MELGPT_CLIPS", REAL))
    if folder.is_dir():
        yield folder.name, folder


def _row(name: str, sounds: Path, out: Path, threads: int, rounds: int) -> Row:
    files = sorted(sounds.rglob("*.ogg"))

    def decode() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_samples, files))

    def ours() -> None:
        shutil.rmtree(out, ignore_errors=True)
        prepare(sounds, out, DataConfig(), MelScale(), workers=threads)

    limit = row("", {"ours": decode}, rounds).ours
    title = f"prepare {len(files)} OGG clips, {name}, workers {threads}"
    return row(title, {"ours": ours}, rounds, limit=limit, note="limit: decoding alone")


def make_clips(folder: Path, clips: int) -> list[Path]:
    """Files of noise bursts, another one each: as hard to decode as sound, and no duplicates."""
    files = []
    for number in range(clips):
        rng = np.random.default_rng(number)
        level = np.repeat(rng.random(10 * SECONDS), RATE // 10)
        path = folder / f"class{number % 10}" / f"{number:04d}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * level * rng.standard_normal(len(level)), RATE)
        files.append(path)
    return files


def _samples(path: Path) -> int:
    return read(path).samples.shape[-1]
