"""The journal of a running `prepare`: one SQLite file, so that a killed run goes on and memory stays flat."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from melgpt.data.audit import LEFT_OUT, NEAR_DUPLICATE, AuditRow
from melgpt.data.duplicates import Pair
from melgpt.data.pieces import Piece
from melgpt.data.scan import Source
from melgpt.paths import hold

JOURNAL = "journal.sqlite"
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, label TEXT, source TEXT, split TEXT, size INTEGER,
                    modified INTEGER, problem TEXT, detail TEXT, done INTEGER DEFAULT 0);
CREATE TABLE clips (id INTEGER PRIMARY KEY, file INTEGER, start REAL, seconds REAL, frames INTEGER,
                    shard INTEGER, offset INTEGER, digest BLOB UNIQUE, signature BLOB);
CREATE TABLE audit (id INTEGER PRIMARY KEY, file TEXT, start REAL, reason TEXT, action TEXT, detail TEXT);
CREATE TABLE links (a INTEGER, b INTEGER);
CREATE TABLE near (a INTEGER, b INTEGER, similarity REAL);
CREATE TABLE earlier (path TEXT PRIMARY KEY, split TEXT);
CREATE TABLE energy (file INTEGER, shares BLOB);
"""


@dataclass(frozen=True)
class Twin:
    """The clip that holds the same samples as another."""

    file: int
    path: str
    start: float
    label: str


class Journal:
    """Files in the order of their paths, numbered from 0; clips in the order they were found, from 0."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    @classmethod
    def listing(cls, sources: Iterable[Source]) -> Self:
        """A journal of the files and their problems only, in a temporary file that SQLite removes itself."""
        database = sqlite3.connect("")
        database.executescript(_SCHEMA)
        columns = "(path, label, source, split, size, modified, problem, detail)"
        database.execute(f"CREATE TEMP TABLE found {columns}")
        database.executemany(
            f"INSERT INTO found {columns} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((s.path, s.label, s.group, s.split, s.size, s.modified, s.problem, s.detail) for s in sources),
        )
        database.execute(
            f"INSERT INTO files (id, {columns[1:]} "
            "SELECT row_number() OVER (ORDER BY path) - 1, * FROM found ORDER BY path"
        )
        database.execute("DROP TABLE found")
        database.execute(
            "INSERT INTO audit (file, start, reason, action, detail) "
            "SELECT path, 0, problem, ?, detail FROM files WHERE problem != ''",
            (LEFT_OUT,),
        )
        database.execute("UPDATE files SET done = 1 WHERE problem != ''")
        database.commit()
        return cls(database)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The journal in this file, for this process alone. Raises UserError where another one has it."""
        return cls(hold(path, "prepare is at work"))

    def copy_to(self, path: Path) -> None:
        """Write this journal to a file."""
        target = sqlite3.connect(path)
        self.database.backup(target)
        target.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.database.close()

    def commit(self) -> None:
        self.database.commit()

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, one after the other."""
        yield from self.database.execute(query, values)

    def value(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        """The first cell of a query's only row, None where there is no row."""
        row = self.database.execute(query, values).fetchone()
        return row[0] if row else None

    @property
    def key(self) -> str | None:
        """What the run was started for; None before it is set."""
        try:
            return str(self.value("SELECT value FROM meta WHERE key = 'key'"))
        except sqlite3.DatabaseError:  # a file from a run that was killed while it made its journal
            return None

    @key.setter
    def key(self, key: str) -> None:
        self.database.execute("INSERT INTO meta VALUES ('key', ?)", (key,))
        self.commit()

    def digest(self) -> str:
        """Changes when a file, its label, its source or its given split does."""
        digest = hashlib.sha256()
        for row in self.rows(
            "SELECT path, label, source, split, size, modified, problem FROM files ORDER BY id"
        ):
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()

    def twin(self, digest: bytes) -> Twin | None:
        """The clip with this digest, if there is one."""
        columns = "files.id, files.path, clips.start, files.label"
        query = f"SELECT {columns} FROM clips JOIN files ON files.id = clips.file WHERE digest = ?"
        return next((Twin(*row) for row in self.rows(query, (digest,))), None)

    def add_clip(self, file: int, piece: Piece, shard: int, offset: int) -> None:
        """The next clip, whose frames start at `offset` of a shard. Its digest must be new."""
        number = self.value("SELECT COALESCE(MAX(id) + 1, 0) FROM clips")
        self.database.execute(
            "INSERT INTO clips VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, file, piece.start, piece.seconds, len(piece.mel), shard, offset, piece.digest,
             piece.signature.tobytes()),
        )  # fmt: skip
        if piece.band is not None:
            self.add_energy(file, piece.band)

    def add_energy(self, file: int, shares: NDArray[np.float64]) -> None:
        """Where the energy of a clip of a file lies, as `Piece.band` has it."""
        self.database.execute("INSERT INTO energy VALUES (?, ?)", (file, shares.tobytes()))

    def bands(self) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Label and shares of each clip's energy, in the order in which they were added."""
        query = "SELECT label, shares FROM energy JOIN files ON files.id = energy.file ORDER BY energy.rowid"
        for label, shares in self.rows(query):
            yield label, np.frombuffer(shares)

    def complete(self) -> None:
        """Add the table that a journal lacks which an earlier version began."""
        self.database.execute("CREATE TABLE IF NOT EXISTS energy (file INTEGER, shares BLOB)")

    def add_findings(self, findings: Iterable[AuditRow]) -> None:
        self.database.executemany(
            "INSERT INTO audit (file, start, reason, action, detail) VALUES (?, ?, ?, ?, ?)",
            ((f.file, f.start, f.reason, f.action, f.detail) for f in findings),
        )

    def add_links(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Pairs of files that hold the same sound."""
        self.database.executemany("INSERT INTO links VALUES (?, ?)", pairs)

    def forget_near(self) -> None:
        """Drop what an unfinished search for near duplicates left."""
        self.database.execute("DELETE FROM near")
        self.database.execute("DELETE FROM audit WHERE reason = ?", (NEAR_DUPLICATE,))

    def add_near(self, pairs: Iterable[Pair]) -> None:
        """Pairs of clips that are near duplicates."""
        self.database.executemany(
            "INSERT INTO near VALUES (?, ?, ?)", ((p.a, p.b, p.similarity) for p in pairs)
        )

    def set_earlier(self, rows: Iterable[tuple[str, str]]) -> None:
        """Path and split of the files of the data set that this one replaces."""
        self.database.execute("DELETE FROM earlier")
        self.database.executemany("INSERT OR IGNORE INTO earlier VALUES (?, ?)", rows)
        self.commit()

    def mark_done(self, file: int) -> None:
        self.database.execute("UPDATE files SET done = 1 WHERE id = ?", (file,))

    def findings(self) -> Iterator[AuditRow]:
        """All findings, by file and place."""
        for row in self.rows(
            "SELECT file, start, reason, action, detail FROM audit ORDER BY file, start, id"
        ):
            yield AuditRow(*row)
