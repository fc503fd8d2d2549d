"""Progress bars with time left, and plain lines where the output is not a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

LINE_EVERY_SECONDS = 15.0


class Progress:
    """One long step: `advance()` moves it, `note` is shown at its end."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.note = title, total, ""
        self.done = self._first = 0
        self._start = self._line = time.monotonic()

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        self.done += steps
        self.note = self.note if note is None else note
        self._show()

    def resume_at(self, done: int) -> None:
        """Steps that an earlier run has done; they do not count for the time left."""
        self.done = self._first = done

    def seconds_left(self) -> float:
        each = (time.monotonic() - self._start) / max(self.done - self._first, 1)
        return each * max(self.total - self.done, 0)

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._line >= LINE_EVERY_SECONDS:
            self._line = now
            share = f"{self.done}/{self.total}"
            print(
                f"{self.title}: {share}, {_clock(self.seconds_left())} left {self.note}".rstrip(),
                file=sys.stderr,
            )


class _Bar(Progress):
    """The same on a terminal, drawn by rich."""

    def __init__(self, title: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        super().__init__(title, total)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.rich = Rich(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True))
        self.task = self.rich.add_task(title, total=total, note="")

    def _show(self) -> None:
        self.rich.update(self.task, completed=self.done, note=self.note)


def _clock(seconds: float) -> str:
    """`42 s`, `7 min` or `3 h 20 min`."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def progress(title: str, total: int) -> Iterator[Progress]:
    """`with progress("mels", 400) as bar: bar.advance()`."""
    if sys.stderr is None or not sys.stderr.isatty():  # a service may run without one
        yield Progress(title, total)
        return
    bar = _Bar(title, total)
    with bar.rich:
        yield bar


def say(text: str) -> None:
    """One line for the person, on standard error: standard output stays for results."""
    print(text, file=sys.stderr, flush=True)
