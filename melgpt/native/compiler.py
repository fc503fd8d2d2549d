"""The C files beside this one, compiled where there is a C compiler.

They are compiled for this very processor when first needed (some seconds) and kept in the user's cache.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from melgpt.paths import atomic, cache_folder

SOURCES = Path(__file__).parent


def compiled() -> ctypes.CDLL | None:
    """What they were compiled to; None where there is no C compiler, or no place to keep what it makes."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        return None
    try:
        return ctypes.CDLL(str(_file(compiler)))
    except (OSError, RuntimeError, subprocess.SubprocessError):  # RuntimeError: a user without a home
        return None


def _file(compiler: list[str]) -> Path:
    """The compiled kernels, from the cache where they are there. Raises OSError and SubprocessError."""
    tuned = "-march=native" if platform.machine().lower() in ("x86_64", "amd64") else "-mcpu=native"
    command = [*compiler, "-O3", tuned, "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-pthread"]
    files = sorted(file for file in SOURCES.iterdir() if file.suffix in (".c", ".h"))
    what = (command, [file.read_bytes() for file in files], _processor())
    library = cache_folder() / f"kernels-{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}.so"
    if not library.is_file():
        sources = [file for file in files if file.suffix == ".c"]
        with atomic(library) as made, tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
            objects = [f"{folder}/{file.stem}.o" for file in sources]
            list(pool.map(lambda file, to: _run([*command, "-c", str(file), "-o", to]), sources, objects))
            _run([*command, "-shared", *objects, "-o", str(made), "-lm"])
    return library


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _processor() -> str:
    """What tells this kind of processor from others that may share the cache."""
    if sys.platform != "linux":
        return platform.processor()
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    return "\n".join(
        line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))
    )
