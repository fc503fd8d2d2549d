"""One file from the net: goes on where it was broken off, is checked, and appears whole or not at all.

Standard library only. What has come so far lies in `<name>.part` beside the target.
"""

import contextlib
import hashlib
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from melgpt.errors import UserError
from melgpt.progress import progress, say

TRIES = 5
"""Connections in a row that bring nothing, after which it is given up."""
TIMEOUT_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
BLOCK = 1 << 18
MIB = 1 << 20
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_MAGIC = {".tar": (257, b"ustar"), ".zip": (0, b"PK")}
"""Place and bytes by which a file of this suffix is known."""


@dataclass(frozen=True)
class Remote:
    """A file to fetch."""

    url: str
    md5: str = ""
    """Its checksum; empty where none is published."""


class FetchError(UserError):
    """A file that could not be fetched, in words without its name."""


class _Broken(Exception):
    """A connection that failed in a way that may be better next time."""


def download(remote: Remote, target: Path) -> None:
    """Fetch a file, unless `target` is there already and whole.

    Raises FetchError for what trying again does not mend: not there, a web page or another file in its place,
    no connection in TRIES attempts. What came so far is kept for the next run, unless it is wrong.
    """
    if target.is_file():
        if not remote.md5 or _md5(target) == remote.md5:
            return
        say(f"{target} is damaged and will be fetched again")
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    resumed = part.exists() and part.stat().st_size > 0
    _fetch_patiently(remote, part)
    found = _md5(part) if remote.md5 else ""
    if found != remote.md5 and resumed:
        say(f"{part} does not go together with what {remote.url} holds: from the start")
        part.unlink()
        _fetch_patiently(remote, part)
        found = _md5(part)
    if found != remote.md5:
        part.unlink()
        raise FetchError(
            f"{remote.url} holds another file: its md5 is {found}, the list says {remote.md5}; it was removed"
        )
    part.replace(target)


def _fetch_patiently(remote: Remote, part: Path) -> None:
    """All of the file into `part`, with further connections after broken ones."""
    failures, pause = 0, FIRST_PAUSE_SECONDS
    while True:
        before = _size(part)
        try:
            return _fetch_once(remote, part)
        except _Broken as reason:
            if _size(part) > before:
                failures, pause = 0, FIRST_PAUSE_SECONDS
            failures += 1
            if failures >= TRIES:
                kept = f"; {_size(part) // MIB} MiB are kept for the next run" if _size(part) else ""
                raise FetchError(f"{remote.url}: given up after {TRIES} tries: {reason}{kept}") from None
            say(f"{remote.url}: {reason}; again in {pause:g} s")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _fetch_once(remote: Remote, part: Path) -> None:
    """One connection: ask for what is missing and append it."""
    have = _size(part)
    try:
        with _answer(remote.url, have) as answer:
            if answer is None:  # the server has nothing beyond what is here
                return
            first, total = _place(answer, have)
            _copy(answer, part, first, total, remote)
    except urllib.error.HTTPError as error:
        if error.code in _BUSY:
            raise _Broken(f"the server answered {error.code} {error.reason}") from None
        raise FetchError(f"{remote.url}: the server answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _Broken(f"no connection ({error.reason})") from None
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _Broken(f"the connection broke ({error or type(error).__name__})") from None
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise FetchError(f"{remote.url} is no address to fetch from: {error}") from None


@contextlib.contextmanager
def _answer(url: str, have: int) -> Iterator[Any]:
    """The open answer to a request for all from byte `have` on; None where that is the end of the file."""
    request = urllib.request.Request(url, headers={"User-Agent": "melgpt", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        error.close()
        whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
        if whole and int(whole[1]) == have:
            yield None
            return
        # More is here than the server has: another file. Asked from the start, it is written over.
        request.remove_header("Range")
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    with answer:
        yield answer


def _place(answer: Any, have: int) -> tuple[int, int | None]:
    """Where in the file the answer begins, and how long the file is; a server may know no ranges."""
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if answer.status == 206 and span and int(span[1]) == have:
        return have, None if span[2] == "*" else int(span[2])
    if answer.status == 206:
        raise _Broken("the server sent another part than asked for")
    length = answer.headers.get("Content-Length")
    return 0, int(length) if length else None


def _copy(answer: Any, part: Path, first: int, total: int | None, remote: Remote) -> None:
    """The body into `part` from byte `first` on, after a look at its beginning."""
    block = answer.read(BLOCK)
    _refuse_pages(answer, block, first, remote)
    name = part.name.removesuffix(".part")
    have = first
    with _appending(part, first) as file, progress(f"{name} (MiB)", (total or 0) // MIB) as bar:
        bar.resume_at(have // MIB)
        while block:
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(part)) from None
            bar.advance((have + len(block)) // MIB - have // MIB)
            have += len(block)
            block = answer.read(BLOCK)
    if total is not None and have < total:
        raise _Broken(f"the connection ended after {have} of {total} bytes")
    if total is not None and have > total:
        part.unlink()
        raise _Broken(f"{have} bytes came, {total} were promised")


@contextlib.contextmanager
def _appending(part: Path, first: int) -> Iterator[BinaryIO]:
    """The file open for writing from byte `first` on, for this process alone."""
    part.touch()
    with open(part, "rb+") as file:
        if not _lock(file):
            raise FetchError(f"another fetch is at work on {part}: wait for it or stop it")
        if _size(part) != first:
            file.truncate(first)
        file.seek(first)
        yield file


def _lock(file: BinaryIO) -> bool:
    """Whether the file is this process' own until it is closed; where there are no such locks, it is."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _refuse_pages(answer: Any, block: bytes, first: int, remote: Remote) -> None:
    """Raises FetchError where the first bytes are a web page or not of the kind that the name says."""
    kind = answer.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml") or (first == 0 and block.lstrip()[:1] == b"<"):
        raise FetchError(f"{remote.url} answered with a web page, not with the file: look at it in a browser")
    place, magic = _MAGIC.get(Path(remote.url).suffix, (0, b""))
    if first == 0 and len(block) >= place + len(magic) and block[place : place + len(magic)] != magic:
        raise FetchError(f"{remote.url} holds no {Path(remote.url).suffix} file")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
