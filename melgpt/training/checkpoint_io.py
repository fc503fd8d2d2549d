"""Training checkpoints that appear whole or not at all, whatever happens while they are written."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from melgpt.paths import NewFile, atomic, disk_message


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old file and takes its place at the end.

    Lightning's own goes through the system's temporary folder and copies from there, so a full disk or a kill
    leaves half a file where the last good one stood.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with atomic(Path(path)) as temporary, NewFile(temporary) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Also where the folder was moved since: Lightning would forget which checkpoint was the best."""
        content: dict[str, Any] = super().load_checkpoint(path, *args, **kwargs)
        here = Path(os.path.realpath(Path(path).parent))
        for state in content.get("callbacks", {}).values():
            if "dirpath" in state:
                state.update(_moved(state, Path(state["dirpath"]), here))
        return content


def _moved(value: Any, before: Path, now: Path) -> Any:
    """Every path below one folder, wherever it stands in a callback's state, as one below another."""
    if isinstance(value, dict):
        return {_moved(key, before, now): _moved(each, before, now) for key, each in value.items()}
    if isinstance(value, str) and Path(value).is_relative_to(before):
        return str(now / Path(value).relative_to(before))
    return value


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
