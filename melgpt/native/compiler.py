"""The C files beside this one, compiled where there is a C compiler.

They are compiled for this very processor when first needed (some seconds) and kept in the user's cache, or
among the temporary files where that cannot be written.
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
from contextlib import suppress
from pathlib import Path

from melgpt.errors import in_short
from melgpt.paths import cache_folder, scratch_folder
from melgpt.progress import say

SOURCES = Path(__file__).parent
MOST_SECONDS = 60
"""Time that a call of the compiler may take."""


def compiled() -> ctypes.CDLL | None:
    """What they were compiled to; None where there is no C compiler.

    None, too, where there is one, but they cannot be built, kept or loaded: then a line says why.
    """
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        return None
    reason: Exception | str = ""
    for place in (cache_folder, scratch_folder):
        try:
            return _library(place(), compiler)
        except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
            reason = error
        except subprocess.CalledProcessError as error:
            reason = f"{compiler[0]} fails: {error.stderr.decode(errors='replace').strip() or error}"
            break
        except subprocess.TimeoutExpired:
            reason = f"{compiler[0]} takes longer than {MOST_SECONDS} s"
            break
    say(
        f"no compiled kernels, up to four times slower: {in_short(reason)} (--compile off: without this line)"
    )
    return None


def _library(folder: Path, compiler: list[str]) -> ctypes.CDLL:
    """The kernels in a folder, built there where they are missing or damaged.

    A file's name ends with a digest of its content: to load one that was cut off would end the process.
    Raises OSError and SubprocessError.
    """
    tuned = "-march=native" if platform.machine().lower() in ("x86_64", "amd64") else "-mcpu=native"
    command = [*compiler, "-O3", tuned, "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-pthread"]
    files = sorted(file for file in SOURCES.iterdir() if file.suffix in (".c", ".h"))
    what = (command, [file.read_bytes() for file in files], _processor())
    name = f"kernels-{_digest(repr(what).encode())}"
    for known in sorted(folder.glob(f"{name}-*.so")):
        if known.stem == f"{name}-{_digest(known.read_bytes())}":
            with suppress(OSError):  # such as one that was linked with a newer C library
                return ctypes.CDLL(str(known))
        else:
            known.unlink(missing_ok=True)
    sources = [file for file in files if file.suffix == ".c"]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as work:
        made = _built(command, sources, work)
        library = folder / f"{name}-{_digest(made.read_bytes())}.so"
        os.replace(made, library)
    return ctypes.CDLL(str(library))


def _built(command: list[str], sources: list[Path], work: str) -> Path:
    """The library of all sources; what the compiler needs besides lies in the folder `work`, too."""
    objects, made = [f"{work}/{file.stem}.o" for file in sources], f"{work}/kernels.so"

    def run(*options: str) -> None:
        subprocess.run(
            [*command, *options],
            check=True,
            capture_output=True,
            timeout=MOST_SECONDS,
            env={**os.environ, "TMPDIR": work},
        )

    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda file, to: run("-c", str(file), "-o", to), sources, objects))
    run("-shared", *objects, "-o", made, "-lm")
    return Path(made)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _processor() -> str:
    """What tells this kind of processor from others that may share the cache."""
    if sys.platform != "linux":
        return platform.processor()
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    return "\n".join(
        line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))
    )
