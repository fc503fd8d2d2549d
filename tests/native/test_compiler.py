"""Compiled kernels are kept where that can be, built anew where they are damaged, and missed in one line."""

import ctypes
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from melgpt import paths
from melgpt.native import compiler
from melgpt.native.compiler import compiled

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _one_small_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own sources take seconds; how they are built and kept shows with any."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "small.c").write_text("int small(void) { return 7; }")
    monkeypatch.setattr(compiler, "SOURCES", sources)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def nowhere(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the cache nor the folder of temporary files can be written."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")


def test_without_a_compiler_there_are_none_and_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    assert compiled() is None
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "melgpt").exists()


def test_a_compiler_that_fails_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    script = tmp_path / "cc"
    script.write_text("#!/bin/sh\necho 'first\nsecond' >&2; exit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", str(script))
    assert compiled() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"no compiled kernels, up to four times slower: {script} fails: first second")
    assert not list((tmp_path / "melgpt").rglob("*"))


@pytest.mark.parametrize("way", ["a file is in the way", "no such disk", "no home"])
def test_without_a_cache_they_lie_among_the_temporary_files(
    way: str, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    (tmp_path / "melgpt").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none" if way == "no such disk" else str(tmp_path))
    if way == "no home":

        def no_home() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", no_home)
    assert compiled() is not None
    assert capsys.readouterr().err == ""
    (folder,) = temporary.iterdir()
    assert [file.suffix for file in folder.iterdir()] == [".so"]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_where_they_cannot_be_kept_one_line_says_so(nowhere: None, capsys: Said) -> None:
    assert compiled() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert "no compiled kernels" in line
    assert "/proc/none" in line


def test_kernels_that_cannot_be_loaded_are_told(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def refuse(path: str) -> ctypes.CDLL:
        raise OSError(f"{path}: failed to map segment from shared object")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert compiled() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert "failed to map segment" in line


@pytest.mark.parametrize("damage", ["cut", "emptied", "changed"])
def test_a_damaged_library_is_built_anew(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled() is not None
    (library,) = (tmp_path / "melgpt").iterdir()
    whole = library.read_bytes()
    middle = len(whole) // 2
    damaged = {"cut": whole[:middle], "emptied": b"", "changed": whole[:middle] + b"?" + whole[middle + 1 :]}
    library.unlink()  # the loaded file stays as it is: a new one takes its name
    library.write_bytes(damaged[damage])
    assert compiled().small() == 7
    assert capsys.readouterr().err == ""
    (again,) = (tmp_path / "melgpt").iterdir()
    assert again.stem.endswith(compiler._digest(again.read_bytes()))


def test_what_was_compiled_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled() is not None
    (library,) = (tmp_path / "melgpt").iterdir()
    written = library.stat().st_mtime_ns
    assert compiled() is not None
    assert [(file, file.stat().st_mtime_ns) for file in (tmp_path / "melgpt").iterdir()] == [
        (library, written)
    ]


def test_another_processor_gets_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("one", "another"):
        monkeypatch.setattr(compiler, "_processor", lambda name=name: name)
        assert compiled() is not None
    assert len(list((tmp_path / "melgpt").iterdir())) == 2


def test_a_folder_that_others_can_write_is_not_taken(temporary: Path) -> None:
    folder = temporary / f"melgpt-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="not this user's own"):
        paths.scratch_folder()
    folder.chmod(0o700)
    assert paths.scratch_folder() == folder
