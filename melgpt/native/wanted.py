"""Whether kernels are wanted at all; it needs no torch."""

from collections.abc import Iterator
from contextlib import contextmanager

_without = 0
"""Blocks around this that want no kernels."""


@contextmanager
def kernels_if(wanted: bool) -> Iterator[None]:
    """Until the end of the block, in all threads, none are found where they are not wanted.

    For a process that works on one thing; parts of a model have a switch of their own (`write_quickly`).
    """
    global _without
    _without += not wanted
    try:
        yield
    finally:
        _without -= not wanted


def kernels_wanted() -> bool:
    """Whether no block around this wants none."""
    return not _without
