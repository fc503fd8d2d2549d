"""Temporary files: written whole or not at all, and removed where a process was killed."""

import subprocess
import sys
from pathlib import Path

from melgpt.paths import atomic, remove_orphans

KILLED = """
import os, signal, sys
from pathlib import Path
from melgpt.paths import atomic
with atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    for name in ("last.ckpt", "stamp", "a.b.wav"):
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], check=False)
    assert len(list(tmp_path.iterdir())) == 3
    remove_orphans(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_somebody_writes_now_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    mine = {".hidden", ".bash_history", "notes-a1b2c3d4.txt", ".env-a1b2c3d4-old"}
    for name in mine:
        (tmp_path / name).touch()
    with atomic(tmp_path / "last.ckpt") as temporary:
        temporary.write_text("whole")
        remove_orphans(tmp_path)
        assert temporary.is_file()
    assert {path.name for path in tmp_path.iterdir()} == {*mine, "last.ckpt"}
    assert (tmp_path / "last.ckpt").read_text() == "whole"


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    remove_orphans(tmp_path / "nowhere")
