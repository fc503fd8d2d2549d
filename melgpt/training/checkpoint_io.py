"""Training checkpoints that appear whole or not at all, whatever happens while they are written."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from melgpt.paths import atomic, disk_message


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old file and takes its place at the end.

    Lightning's own goes through the system's temporary folder and copies from there, so a full disk or a kill
    leaves half a file where the last good one stood.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with atomic(Path(path)) as temporary, open(temporary, "wb") as file:
            writer = _Writer(file)
            torch.save(checkpoint, writer)  # type: ignore[arg-type]
            if writer.error is not None:
                raise writer.error


class _Writer:
    """A file that keeps the first error for later: torch's own code would turn it into another one."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                return self.file.write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes

    def flush(self) -> None:
        if self.error is None:
            try:
                self.file.flush()
            except OSError as error:
                self.error = error


@contextmanager
def quiet_disk_errors() -> Iterator[None]:
    """A full disk is told once, without the traceback that TensorBoard's writing thread would print."""
    shown = threading.excepthook

    def hook(failure: Any) -> None:
        if not (isinstance(failure.exc_value, OSError) and disk_message(failure.exc_value)):
            shown(failure)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = shown
