"""Work in a process of its own, so that its memory and its imports are its own; its results as they come."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any


def stream(work: Callable[..., Iterable[Any]], *arguments: Any) -> Iterator[Any]:
    """What `work(*arguments)` yields in a new process. Raises RuntimeError where that process fails."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(there, work, arguments))
    process.start()
    there.close()
    try:
        while True:
            try:
                yield here.recv()
            except EOFError:
                break
        process.join()
    finally:
        process.terminate()
        process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__}{arguments[:1]} ended with exit code {process.exitcode}")


def _send(pipe: Connection, work: Callable[..., Iterable[Any]], arguments: tuple[Any, ...]) -> None:
    for result in work(*arguments):
        pipe.send(result)
