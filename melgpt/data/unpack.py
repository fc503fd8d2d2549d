"""Archives from the net, unpacked with distrust: plain files only, and none outside the folder."""

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from melgpt.errors import UserError

Place = Callable[[tuple[str, ...]], PurePosixPath | None]
"""Where a member goes, by the parts of its name, relative to the folder; None: it is not wanted."""


def unpack(archive: Path, folder: Path, place: Place, *, needed: str = "") -> list[str]:
    """Unpack a .tar or .zip; the names of its files below `folder`.

    All names are checked before anything is written, and the files are moved to their places at the end.
    Raises UserError for a damaged archive, for members that are links or lead out of the folder, and where
    there is nothing in it or not the file that is `needed`.
    """
    staging = archive.with_name(f"{archive.name}.unpacking")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        opened = _unzip if archive.suffix == ".zip" else _untar
        names = opened(archive, staging, place)
        if not names or (needed and needed not in names):
            raise UserError(f"{archive} does not hold {needed or 'any of the files that it should'}")
        _move(staging, folder, names)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(f"{archive} is damaged: {error}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return names


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of a member's name. Raises UserError for one that leads out of the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts or "\0" in name:
        raise UserError(f"the archive holds the name '{name}', which leads out of its folder: not unpacked")
    return path.parts


def _untar(archive: Path, staging: Path, place: Place) -> list[str]:
    with tarfile.open(archive, "r:") as tar:
        wanted: list[tuple[tarfile.TarInfo, PurePosixPath]] = []
        for member in tar.getmembers():
            target = place(parts_of(member.name)) if not member.isdir() else None
            if not (member.isdir() or member.isreg()):
                raise UserError(f"the archive holds a link or a device, '{member.name}': not unpacked")
            if target is not None:
                wanted.append((member, target))
        for member, target in wanted:
            source = tar.extractfile(member)
            if source is not None:
                _write(source, staging / target)
    return [target.as_posix() for _, target in wanted]


def _unzip(archive: Path, staging: Path, place: Place) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        wanted = [
            (member, target)
            for member in opened.infolist()
            if (target := place(parts_of(member.filename))) is not None and not member.is_dir()
        ]
        for member, target in wanted:
            with opened.open(member) as source:
                _write(source, staging / target)
    return [target.as_posix() for _, target in wanted]


def _write(source: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(target, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    except OSError as error:
        if error.errno is None:  # the archive ended early
            raise EOFError(str(error)) from None
        raise OSError(error.errno, error.strerror, str(target)) from None


def _move(staging: Path, folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staging / name, folder / name)
