"""Whether kernels are wanted at all; it needs no torch."""

from collections.abc import Iterator
from contextlib import contextmanager

_without: list[None] = []
"""As many as there are blocks that want no kernels."""


@contextmanager
def kernels_if(wanted: bool) -> Iterator[None]:
    """Until the end of the block, in all threads, none are found where they are not wanted.

    For a process that works on one thing; parts of a model have a switch of their own (`write_quickly`).
    """
    marks = [] if wanted else [None]
    _without.extend(marks)
    try:
        yield
    finally:
        del _without[len(_without) - len(marks) :]


def kernels_wanted() -> bool:
    """Whether no block around this wants none."""
    return not _without
