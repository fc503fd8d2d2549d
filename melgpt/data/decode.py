"""The first half of `prepare`: every file decoded once, in order, into shards and the journal."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch

from melgpt.data.audit import EXACT_DUPLICATE, AuditRow
from melgpt.data.config import DataConfig
from melgpt.data.journal import Journal
from melgpt.data.mel_file import SUFFIX, cut_mel
from melgpt.data.pieces import Piece, Pieces, cut
from melgpt.data.store import MEL, SHARDS, shard_name
from melgpt.progress import progress
from melgpt.types import MelScale

COMMIT_SECONDS = 2.0
AHEAD = 4
"""Files in work or finished, for each thread, that wait for their turn."""

Job = Callable[[str], Pieces]
Task = tuple[int, str]
Results = Generator[tuple[Task, Pieces], None, None]


def decode(
    journal: Journal, source: Path, work: Path, config: DataConfig, scale: MelScale, *, workers: int | None
) -> None:
    """Decode all files that the journal does not know as done; in `workers` threads, None: one a core."""
    total = int(journal.value("SELECT COUNT(*) FROM files"))
    done = int(journal.value("SELECT COUNT(*) FROM files WHERE done"))
    job = partial(cut_file, source, config, scale)
    mapped = _mapped(job, _todo(journal), workers or os.cpu_count() or 1)
    with (
        contextlib.closing(_Writer(journal, work, config.shard_frames)) as writer,
        contextlib.closing(mapped) as results,
        progress("decoding", total) as bar,
    ):
        bar.advance(done)
        for (number, path), pieces in results:
            writer.add(number, path, pieces)
            bar.advance()


def cut_file(source: Path, config: DataConfig, scale: MelScale, path: str) -> Pieces:
    """The clips of one file, a sound, a video or a finished mel."""
    return (cut_mel if path.endswith(SUFFIX) else cut)(source, path, config, scale)


def _todo(journal: Journal) -> Iterator[Task]:
    """Number and path of each file that is not done, in order."""
    last = -1
    # In portions, not by one cursor: the table changes meanwhile.
    query = "SELECT id, path FROM files WHERE id > ? AND NOT done ORDER BY id LIMIT 256"
    while rows := list(journal.rows(query, (last,))):
        yield from rows
        last = rows[-1][0]


def _mapped(job: Job, tasks: Iterator[Task], workers: int) -> Results:
    """The job's results in the order of the tasks, few at a time in memory.

    Threads suffice, because the decoders, numpy and torch work without Python's lock. Each computes on one
    thread, so that the bits do not depend on their number.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        waiting: deque[tuple[Task, Future[Pieces]]] = deque()
        for task in tasks:
            waiting.append((task, pool.submit(job, task[1])))
            if len(waiting) >= AHEAD * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


class _Writer:
    """Appends clips to shards and to the journal; what the journal has committed is safely on the disk."""

    def __init__(self, journal: Journal, work: Path, shard_frames: int) -> None:
        self.journal, self.work, self.shard_frames = journal, work, shard_frames
        last = list(journal.rows("SELECT shard, offset + frames FROM clips ORDER BY id DESC LIMIT 1"))
        self.shard, self.frames = last[0] if last else (0, 0)
        self._file: BinaryIO | None = None
        self._committed = time.monotonic()
        (work / SHARDS).mkdir(parents=True, exist_ok=True)
        # A killed run may have written more than it committed.
        for path in (work / SHARDS).iterdir():
            if path.name > Path(shard_name(self.shard)).name:
                path.unlink()

    def add(self, number: int, path: str, pieces: Pieces) -> None:
        """All that came out of one file."""
        self.journal.add_findings(pieces.findings)
        for shares in pieces.outside:
            self.journal.add_energy(number, shares)
        for piece in pieces.pieces:
            twin = self.journal.twin(piece.digest)
            if twin is None:
                self._append(number, piece)
                continue
            detail = f"same samples as {twin.path} at {twin.start:g} s, label {twin.label}"
            self.journal.add_findings([AuditRow(path, piece.start, EXACT_DUPLICATE, "left out", detail)])
            self.journal.add_links([(twin.file, number)])
        self.journal.mark_done(number)
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self._commit()

    def close(self) -> None:
        """Commit and close; what was added so far is kept, whatever happened."""
        self._commit()
        if self._file is not None:
            self._file.close()

    def _append(self, number: int, piece: Piece) -> None:
        frames = len(piece.mel)
        if self.frames and self.frames + frames > self.shard_frames:
            self._close_shard()
            self.shard, self.frames = self.shard + 1, 0
        if self._file is None:
            self._file = self._open_shard(piece.mel.shape[1])
        self._file.write(piece.mel.astype(MEL, copy=False).tobytes())
        self.journal.add_clip(number, piece, self.shard, self.frames)
        self.frames += frames

    def _open_shard(self, bands: int) -> BinaryIO:
        path = self.work / shard_name(self.shard)
        path.touch()
        file = open(path, "rb+")  # noqa: SIM115 - stays open from clip to clip
        file.truncate(self.frames * bands * MEL.itemsize)
        file.seek(0, os.SEEK_END)
        return file

    def _close_shard(self) -> None:
        self._sync()
        if self._file is not None:
            self._file.close()
        self._file = None

    def _commit(self) -> None:
        self._sync()
        self.journal.commit()
        self._committed = time.monotonic()

    def _sync(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
