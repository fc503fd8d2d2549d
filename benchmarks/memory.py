"""Peak memory: of this process since it was last asked to forget, and of a command that it starts.

Not `getrusage` of this process: Linux hands the peak of the process that starts another on to it, and never
forgets it.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Start anew where the system can (Linux, CUDA); elsewhere a peak is that of the process so far."""
    if CLEAR.exists():
        CLEAR.write_text("5")
    if (cuda := _cuda()) is not None:
        cuda.reset_peak_memory_stats()


def peak_mib() -> float:
    """Largest resident memory of this process in MiB."""
    if not STATUS.exists():
        return _mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def device_peak_mib() -> float | None:
    """Most memory in MiB that tensors took on a CUDA device; None without one."""
    cuda = _cuda()
    return None if cuda is None else cuda.max_memory_allocated() / (1 << 20)


class Command:
    """A Python command as a way to be timed, in a process of its own, with that process's peak memory.

    The peak is honest where the process that calls is smaller than the command: start it without torch.
    """

    def __init__(self, arguments: Sequence[str | Path]) -> None:
        self.arguments = [sys.executable, *map(str, arguments)]
        self.peak_mib = 0.0
        self.output = ""

    def __call__(self) -> None:
        """Raises RuntimeError with what the command said where it fails."""
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(self.arguments, stdout=said, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            self.output = said.read()
        self.peak_mib = _mib(usage.ru_maxrss)
        if process.returncode:
            raise RuntimeError(f"{' '.join(self.arguments)} ended with {process.returncode}: {self.output}")


def _mib(maxrss: int) -> float:
    return maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _cuda():  # type: ignore[no-untyped-def]
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
