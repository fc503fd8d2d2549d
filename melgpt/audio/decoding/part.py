"""A sound file inside a file: a range of bytes, behind a corrected header where its own is wrong."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class Part:
    """What a decoder is given: bytes `start` to `end` of `path`, behind `header`."""

    path: Path
    start: int = 0
    end: int | None = None
    """None: the end of the file."""
    header: bytes = b""
    """Replaces the bytes before `start`."""
    claimed: float = 1.0
    """Bytes of sound in the header over those that are there; above 1 where the file is cut short."""
    promised: float | None = None
    """Seconds in the header, of formats where the decoders do not tell them reliably."""
    cut: bool = False
    """The file ends inside a page or a box."""
    damage: str = ""
    """What is wrong with the bytes of this part, in words; empty where nothing is."""

    @contextmanager
    def opened(self) -> Iterator[str | BinaryIO]:
        """The path where the part is the whole file, otherwise a file object of its bytes alone."""
        if self.start == 0 and self.end is None and not self.header:
            yield str(self.path)
        else:
            with io.BufferedReader(_PartFile(self), 1 << 16) as file:
                yield file


class _PartFile(io.RawIOBase):
    """The bytes of a part as a read-only file."""

    def __init__(self, part: Part) -> None:
        self.name = str(part.path)  # PyAV asks for it
        self._file = open(part.path, "rb", buffering=0)  # noqa: SIM115 - closed with this object
        self._start, self._header = part.start, part.header
        end = os.fstat(self._file.fileno()).st_size if part.end is None else part.end
        self._length = len(part.header) + max(0, end - part.start)
        self._place = 0

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._length}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        wanted = min(len(buffer), self._length - self._place)
        if wanted <= 0:
            return 0
        if self._place < len(self._header):
            data = self._header[self._place : self._place + wanted]
        else:
            self._file.seek(self._start + self._place - len(self._header))
            data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
