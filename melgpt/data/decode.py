"""The first half of `prepare`: every file decoded once, in order, into shards and the journal."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
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
ALONE_BYTES = 16 << 20
"""Sound files of this size together are decoded sooner than further processes start."""
AHEAD = 4
"""Files in work or finished, for each process, that wait for their turn."""

Job = Callable[[str], Pieces]
Task = tuple[int, str]
Results = Generator[tuple[Task, Pieces], None, None]


def decode(
    journal: Journal, source: Path, work: Path, config: DataConfig, scale: MelScale, *, workers: int | None
) -> None:
    """Decode all files that the journal does not know as done; `workers` processes, None: one a core."""
    total = int(journal.value("SELECT COUNT(*) FROM files"))
    done = int(journal.value("SELECT COUNT(*) FROM files WHERE done"))
    size = int(journal.value("SELECT COALESCE(SUM(size), 0) FROM files WHERE NOT done"))
    processes = min(workers or os.cpu_count() or 1, total - done) if size > ALONE_BYTES else 1
    job = partial(cut_file, source, config, scale)
    mapped = _here(job, _todo(journal)) if processes < 2 else _parallel(job, _todo(journal), processes)
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


def _here(job: Job, tasks: Iterator[Task]) -> Results:
    """One after the other in this process, on one thread as in the others: same bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for task in tasks:
            yield task, job(task[1])
    finally:
        torch.set_num_threads(threads)


def _parallel(job: Job, tasks: Iterator[Task], processes: int) -> Results:
    """In further processes, results in the order of the tasks, few at a time in memory."""
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
    )
    try:
        waiting: deque[tuple[Task, Future[Pieces]]] = deque()
        for task in tasks:
            waiting.append((task, pool.submit(job, task[1])))
            if len(waiting) >= AHEAD * processes:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """One thread; Ctrl-C is the parent's business; nobody stays behind when the parent is killed."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
