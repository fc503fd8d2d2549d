"""How tensors and numbers are handed to what is written in C."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

POINTER, INT, LONG, FLOAT = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_float
WORD = ctypes.c_uint32


class Calls:
    """On how many cores they work: torch's, or those that are given."""

    def __init__(self) -> None:
        self._cores_given = 0

    def cores(self) -> int:
        return self._cores_given or torch.get_num_threads()

    @contextmanager
    def on(self, cores: int) -> Iterator[None]:
        """Until the end of the block on so many cores, whatever torch has."""
        before, self._cores_given = self._cores_given, cores
        try:
            yield
        finally:
            self._cores_given = before


@contextmanager
def lent(parts: list[Any], name: str, value: object) -> Iterator[None]:
    """Until the end of the block parts have this under a name, afterwards None."""
    try:
        for part in parts:
            setattr(part, name, value)
        yield
    finally:
        for part in parts:
            setattr(part, name, None)


class Tape:
    """Calls of kernels in their order, to be made again on the same memory."""

    def __init__(self) -> None:
        self._calls: list[tuple[Any, tuple[Any, ...]]] = []
        self._kept: list[Tensor] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Until the end of the block calls are made and put on the tape, with the tensors they work on."""
        _recorded.tapes.append(self)
        try:
            yield
        finally:
            _recorded.tapes.remove(self)

    def add(self, function: Any, arguments: tuple[Any, ...]) -> None:
        self._calls.append((function, arguments))

    def keep(self, tensor: Tensor) -> None:
        self._kept.append(tensor)

    def play(self) -> None:
        """All calls once more: they read and write where they did when they were recorded."""
        for function, arguments in self._calls:
            function(*arguments)


class _Recorded(threading.local):
    """The tapes that are being recorded, of each thread its own: others call kernels meanwhile."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []


_recorded = _Recorded()


def function(function: Any, arguments: list[Any], result: Any = None) -> Any:
    """A function of the library that is told what it takes and gives, as one that can be recorded."""
    function.argtypes, function.restype = arguments, result

    def call(*given: Any) -> Any:
        for tape in _recorded.tapes:
            tape.add(function, given)
        return function(*given)

    return call


def address(tensor: Tensor | None) -> int | None:
    """Where its numbers lie; the caller sees to it that they lie there in order."""
    if tensor is None:
        return None
    for tape in _recorded.tapes:
        tape.keep(tensor)
    return tensor.data_ptr()


def rows_of(x: Tensor) -> tuple[int, int]:
    """How many vectors [..., C] there are, and their length C."""
    return x.numel() // x.shape[-1], x.shape[-1]
