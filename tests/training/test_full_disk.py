"""A disk that fills up while a checkpoint is written costs nothing that was there."""

import errno
import resource
import signal
import threading
from pathlib import Path

import pytest
import torch

from melgpt.training.checkpoint_io import AtomicCheckpointIO, quiet_disk_errors


def test_the_last_good_checkpoint_survives(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    # The system itself refuses what goes beyond this size, as it does on a full disk.
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            AtomicCheckpointIO().save_checkpoint({"step": torch.rand(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    ("error", "shown"), [(OSError(errno.ENOSPC, "full"), False), (ValueError("ours"), True)]
)
def test_only_disk_errors_of_threads_are_quiet(
    error: Exception, shown: bool, capsys: pytest.CaptureFixture
) -> None:
    def fail() -> None:
        raise error

    before = threading.excepthook
    threading.excepthook = threading.__excepthook__
    try:
        with quiet_disk_errors():
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()
    finally:
        threading.excepthook = before
    assert ("Traceback" in capsys.readouterr().err) == shown
