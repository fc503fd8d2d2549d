"""A data set of made-up clips, as large as one likes: python -m benchmarks.made_up_clips NUMBER

What stands in for decoded files goes the way that real ones go: listing, journal, shards, near duplicates,
split, index, audit. A tenth has a finding, a hundredth is a near duplicate.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from melgpt.data.assemble import assemble
from melgpt.data.audit import CLIPPED, AuditRow
from melgpt.data.config import DataConfig
from melgpt.data.decode import _Writer
from melgpt.data.duplicates import SIGNATURE
from melgpt.data.journal import JOURNAL, Journal
from melgpt.data.pieces import Piece, Pieces
from melgpt.data.prepare import Prepared
from melgpt.data.scan import Source
from melgpt.types import MelScale

FRAMES, LABELS = 20, 50


def simulate(folder: Path, clips: int) -> Prepared:
    """A data set of so many files with a clip each, in `folder`."""
    work, scale, config = folder / "out", MelScale(), DataConfig()
    work.mkdir()
    with Journal.listing(_files(clips)) as listing:
        listing.copy_to(work / JOURNAL)
    with Journal.open(work / JOURNAL) as journal:
        with closing(_Writer(journal, work, config.shard_frames)) as writer:
            for number, path in journal.rows("SELECT id, path FROM files WHERE NOT done ORDER BY id"):
                writer.add(number, path, _pieces(number, path, scale))
        assemble(journal, work, folder / "none", config, scale, {"key": "made up", "source": "none"})
    prepared = Prepared.read(work)
    prepared.report()
    return prepared


def _files(clips: int) -> Iterator[Source]:
    for number in range(clips):
        label = f"class {number % LABELS}"
        yield Source(f"{label}/recording {number:06d}.wav", label, f"name {number}", "", 1000, number)


def _pieces(number: int, path: str, scale: MelScale) -> Pieces:
    random = np.random.default_rng(number if number % 100 else max(number - 1, 0))
    mel = random.random((FRAMES, scale.n_mels), np.float32).astype(np.float16)
    signature = random.normal(size=SIGNATURE).astype(np.float32)
    piece = Piece(0.0, FRAMES / scale.frames_per_second, mel, number.to_bytes(32, "big"), signature)
    findings = (
        [] if number % 10 else [AuditRow(path, 0.0, CLIPPED, "kept", "1.0% of the samples in flat tops")]
    )
    return Pieces([piece], findings)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as out:
        simulate(Path(out), int(sys.argv[1]))
