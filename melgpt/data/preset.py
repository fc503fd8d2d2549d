"""`mel.preset=auto`: the preset that holds the energy of a folder's sounds, found before `prepare`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from melgpt.audio.io import AudioError, read_blocks
from melgpt.data.band import MUCH, Band, edges_of, named
from melgpt.data.band_energy import Shares, energy_shares
from melgpt.data.config import DataConfig
from melgpt.data.layouts import layout_of
from melgpt.data.mel_file import SUFFIX
from melgpt.progress import say
from melgpt.types import MelScale

MOST_OF_A_CLASS, MOST_FILES = 24, 2000
"""Files that are listened to: of each class, evenly over its files, and of all, but two of each class."""


def mel_for(source: Path, config: DataConfig, *, workers: int | None = None) -> dict[str, str]:
    """A recipe's [mel] with that preset, which is said with its reason; the same for the same files.

    Of each of some files of every class the first block is decoded. Finished mels have no sound to measure:
    they are on the default scale. Raises UserError where the folder is missing or not in order.
    """
    layout, plain = layout_of(source), MelScale()
    files: dict[str, list[str]] = {}
    for found in layout.find(source, layout.resolve(config), plain):
        if not found.problem and not found.path.endswith(SUFFIX):
            files.setdefault(found.label, []).append(found.path)
    band = Band.of_clips(edges_of(plain), _measured(source, files, workers))
    name = band.preset()
    say(f"mel.preset={name}: {_why(band, name)}")
    return {"preset": name}


def _measured(source: Path, files: dict[str, list[str]], workers: int | None) -> Iterator[tuple[str, Shares]]:
    """Label and shares of each file that is listened to, in the order of labels and paths."""
    most = max(2, min(MOST_OF_A_CLASS, MOST_FILES // max(len(files), 1)))
    tasks = []
    for label, paths in sorted(files.items()):
        chosen = np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int))
        tasks += [(label, sorted(paths)[place]) for place in chosen]
    with ThreadPoolExecutor(workers) as pool:
        shares = pool.map(partial(_shares_of_file, source), (path for _, path in tasks))
        yield from zip((label for label, _ in tasks), shares, strict=True)


def _shares_of_file(source: Path, path: str) -> Shares:
    """All 0 where the file cannot be read: `prepare` says why."""
    edges = edges_of(MelScale())
    try:
        block = next(read_blocks(source / path))
    except (AudioError, OSError):
        return np.zeros(len(edges) + 1)
    return energy_shares(block.samples[0].numpy(), block.rate, edges)


def _why(band: Band, name: str) -> str:
    if not band.classes:
        return "there is no sound to measure"
    chosen, plain = MelScale.preset(name), MelScale()
    lost, beyond = band.losing(plain), band.losing(chosen)
    if beyond:
        return f"it keeps most; no preset keeps {named(beyond, chosen)}"
    if lost:
        return f"the default would lose {named(lost, plain)}"
    return f"no class has more than {MUCH:.0%} of its energy outside of its band"
