"""SIGTERM and SIGHUP stop a command as Ctrl-C does: what is being written is removed, what is finished stays.

A service manager sends the first, a terminal that is closed or a lost ssh connection the second. What is
ignored, as `nohup` has it, stays ignored.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SAME_SECONDS = 1.0
"""A closing terminal sends several signals; those that come so soon must not disturb the tidying up."""


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """A block in which SIGTERM and SIGHUP raise KeyboardInterrupt, unless they are taken care of.

    After a block that was stopped they go on doing so: the next signal of a closing terminal may come while
    the process ends.
    """
    names = ("SIGTERM", "SIGHUP")  # the second is missing on Windows
    ours = [
        number
        for number in (getattr(signal, name, None) for name in names)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL
    ]
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    last = -SAME_SECONDS

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SAME_SECONDS:
            last = now
            _leave_lost_terminal(terminals)
            raise KeyboardInterrupt

    terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_terminal(stream)]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        if last < 0:
            for number in ours:
                signal.signal(number, signal.SIG_DFL)


def _is_terminal(stream: object) -> bool:
    try:
        return os.isatty(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # none at all, closed, or not a file
        return False


def _leave_lost_terminal(terminals: list[int]) -> None:
    """Write nowhere in place of a terminal that has gone: the last words would end in an error."""
    lost = [number for number in terminals if not os.isatty(number)]
    if lost:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in lost:
            os.dup2(nowhere, number)
        os.close(nowhere)
