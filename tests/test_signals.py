"""A lost terminal and a service manager stop a command as Ctrl-C does."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from melgpt.signals import stopped_by_signals

WRITER = """
import argparse, sys, time
from pathlib import Path
from melgpt import cli
from melgpt.paths import atomic
class Command:
    @staticmethod
    def run(args):
        with atomic(Path(sys.argv[1])) as temporary:
            temporary.write_text("half")
            Path(sys.argv[1] + ".begun").touch()
            for _ in range(6000):
                time.sleep(0.01)
                if Path(sys.argv[1] + ".end").exists():
                    return 0
from melgpt.signals import stopped_by_signals
with stopped_by_signals():
    code = cli._run(Command, argparse.Namespace())
sys.exit(code)
"""


def _start(file: Path, **options: object) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], text=True, **options)  # type: ignore[call-overload]
    while not Path(f"{file}.begun").exists() and process.poll() is None:
        pass
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_a_command_and_leaves_no_half_file(number: signal.Signals, tmp_path: Path) -> None:
    process = _start(tmp_path / "sound.wav", stderr=subprocess.PIPE)
    process.send_signal(number)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 2, said
    assert said.splitlines()[-1].startswith("melgpt: stopped; what was finished is kept")
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["sound.wav.begun"]


def test_a_closed_terminal_does_so_without_an_error(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    # A session of its own, whose terminal this is: it gets the signal when the terminal is gone.
    script = "import fcntl, termios, os; os.setsid(); fcntl.ioctl(2, termios.TIOCSCTTY, 0)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script + WRITER, str(tmp_path / "sound.wav")],
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    while not (tmp_path / "sound.wav.begun").exists() and process.poll() is None:
        pass
    os.close(ours)
    assert process.wait() == 2
    assert [path.name for path in tmp_path.iterdir()] == ["sound.wav.begun"]


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    process = _start(tmp_path / "sound.wav", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    (tmp_path / "sound.wav.end").touch()
    assert process.wait() == 0
    assert (tmp_path / "sound.wav").read_text() == "half"


def test_afterwards_the_signals_are_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
