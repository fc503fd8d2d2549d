"""Where things lie: recipes that come with the package, files inside a run folder, atomic writing."""

import contextlib
import errno
import io
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melgpt.errors import UserError, closest

if TYPE_CHECKING:
    import sqlite3

RECIPE = "recipe.toml"
"""What a model folder is made by, every option named."""
FIGURES = "figures.json"
"""What was measured of a model folder's parts."""
RECIPE_HELP = (
    "tiny, small, seed, seed_vas, or a .toml file (small; in a folder that was begun, the same as there)"
)


def recipe_path(name: str) -> Path:
    """File of a recipe: one that comes with the package, by its name, or a TOML file, by its path."""
    given = Path(name)
    if given.suffix == ".toml":
        if not given.is_file():
            raise UserError(f"recipe file {given} does not exist")
        return given
    here = Path(__file__).parent
    folder = here / "recipes" if (here / "recipes").is_dir() else here.parent / "recipes"
    known = sorted(p.stem for p in folder.glob("*.toml"))
    if name not in known:
        raise UserError(f"unknown recipe '{name}'{closest(name, known)} (a file must end in .toml)")
    return folder / f"{name}.toml"


def recipe_of(run: Path) -> str:
    """The recipe that a model folder was begun with; `small` for a new one."""
    file = run / RECIPE
    return str(file) if file.is_file() else "small"


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place at the end: written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    temporary = Path(name)
    try:
        if _lock(handle) is None:  # a system that cannot rename open files
            os.close(handle)
            handle = -1
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        if handle >= 0:
            os.close(handle)
        temporary.unlink(missing_ok=True)


_TEMPORARY = re.compile(r"\..+-[a-z0-9_]{8}(\.\w+)?")
"""Names that `atomic` gives."""


def remove_orphans(folder: Path) -> None:
    """Remove the temporary files of `atomic` in a folder that killed processes left; those in use stay."""
    for file in folder.iterdir() if folder.is_dir() else ():
        if not _TEMPORARY.fullmatch(file.name):
            continue
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to remove
            with open(file, "rb+") as opened:
                free = _lock(opened.fileno())
            if free is not False:
                file.unlink()


def _lock(handle: int) -> bool | None:
    """Lock an open file until it is closed, or the process ends.

    Returns False where another process has it locked, None where the system has no such locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def first_missing(path: Path) -> Path | None:
    """The uppermost folder on the way to `path` that does not exist; None where all do."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    return missing[-1] if missing else None


def remove_empty(folder: Path, last: Path | None) -> None:
    """Remove a folder and those above it, up to and with `last`, as far as they are empty; None: nothing."""
    while last is not None and (folder == last or last in folder.parents):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


class NewFile(io.FileIO):
    """A file to write for libraries that lose what the disk says, or turn it into something else.

    The first error is kept, what comes behind it is not written, and leaving the `with` block raises it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view) and self.error is None:
                done += super().write(view[done:])
        except OSError as error:
            self.error = error
        return len(view)

    def __exit__(self, *reason: Any) -> None:
        super().__exit__(*reason)
        if self.error is not None:
            raise self.error


def refuse_file(folder: Path) -> None:
    """Raises UserError where something else than a folder has the name of --out."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file; give a folder")


def hold(file: Path, other: str) -> "sqlite3.Connection":
    """A database that this process alone has open until it is closed, or the process ends, on every system.

    Raises UserError where another process has it (`other` says what that does), or it cannot be written.
    """
    import sqlite3

    try:
        database = sqlite3.connect(file, timeout=1)
    except sqlite3.OperationalError as error:
        raise UserError(f"cannot write {file}: {error}") from None
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        database.commit()
    except sqlite3.OperationalError as error:
        database.close()
        if "locked" not in str(error):
            raise UserError(f"cannot write {file}: {error}") from None
        raise UserError(f"{file.parent}: another {other} here; wait for it or stop it") from None
    return database


def alone(file: Path, other: str) -> "contextlib.closing[sqlite3.Connection]":
    """A block in which no other process is that has such a block with this file; see `hold`."""
    return contextlib.closing(hold(file, other))


def disk_message(error: OSError) -> str | None:
    """One clear line for what a user can mend about files (full disk, permission, names), else None."""
    where = f" while writing {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return f"the disk is full{where}; free some space and run the same command again"
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return f"{error.filename}: cannot be written there, something else has that name ({error.strerror})"
    if error.errno == errno.ENAMETOOLONG:
        return f"the file name is too long: {error.filename}"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"no permission{f' for {error.filename}' if error.filename else ''}: {error.strerror}"
    return None


def cache_folder() -> Path:
    """Where things are kept that can be made again: $XDG_CACHE_HOME/melgpt, or .cache/melgpt at home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "melgpt"


def scratch_folder() -> Path:
    """This user's own folder among the temporary files. Raises OSError where there can be none.

    What lies there is run (compiled kernels), so that no one else may have put it there.
    """
    own = os.getuid() if hasattr(os, "getuid") else 0  # Windows has a temporary folder for each user
    folder = Path(tempfile.gettempdir()) / f"melgpt-{own}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if os.name == "posix" and (
        not stat.S_ISDIR(found.st_mode) or found.st_uid != own or found.st_mode & 0o022
    ):
        raise PermissionError(f"{folder} is not this user's own folder")
    return folder
