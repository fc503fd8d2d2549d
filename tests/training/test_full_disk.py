"""A disk that fills up while a checkpoint is written costs nothing that was there."""

import errno
import threading
from pathlib import Path

import pytest
import torch

from melgpt.training.checkpoint_io import AtomicCheckpointIO, quiet_disk_errors


def test_the_last_good_checkpoint_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def full(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
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
