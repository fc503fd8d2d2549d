"""How tensors and numbers are handed to what is written in C."""

import ctypes
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


def function(function: Any, arguments: list[Any], result: Any = None) -> Any:
    """A function of the library that is told what it takes and gives."""
    function.argtypes, function.restype = arguments, result
    return function


def address(tensor: Tensor | None) -> int | None:
    """Where its numbers lie; the caller sees to it that they lie there in order."""
    return None if tensor is None else tensor.data_ptr()
