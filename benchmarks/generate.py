"""Label to WAV file from a model with random weights: 10 s from the shell, 5 and 10 s in an open model.

The parts are those of a command with a clock in it; `start and end` is what its process takes beside them.
This file stays without torch: see `memory.Command`.
"""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.child import stream
from benchmarks.generate_parts import arguments, make, make_wav, timed_command
from benchmarks.machine import Machine
from benchmarks.measure import Row, Way, row
from benchmarks.memory import Command


def rows(machine: Machine, quick: bool) -> Iterator[Row]:
    """The command, its parts, and the same in an open model; recipe `small` (quick: `tiny`)."""
    rounds, recipe = (1, "tiny") if quick else (3, "small")
    name = f"label to file, 10 s, recipe {recipe}"
    with tempfile.TemporaryDirectory() as folder:
        model, out = Path(folder) / "model", Path(folder) / "out"
        list(stream(_make, model, recipe))
        yield row(f"{name}: the command", {"ours": Command(["-m", "melgpt", *arguments(model, out)])}, rounds)
        found = [_parts(model, out) for _ in range(rounds)]
        for part in found[0]:
            seconds = [each[part] for each in found]
            middle = median(seconds)
            yield Row(f"… {part}", plain=None, ours=middle, spread=(max(seconds) - min(seconds)) / middle)
        yield from stream(_warm, recipe, model, out, rounds)


def _make(model: Path, recipe: str) -> list[None]:
    make(model, recipe)
    return []


def _parts(model: Path, out: Path) -> dict[str, float]:
    """Seconds of each part in a new process, and of its start and end."""
    begin = time.perf_counter()
    [found] = stream(_clocked, model, out)
    return {**found, "start and end": time.perf_counter() - begin - sum(found.values())}


def _clocked(model: Path, out: Path) -> list[dict[str, float]]:
    return [timed_command(model, out)]


def _warm(recipe: str, model: Path, out: Path, rounds: int) -> Iterator[Row]:
    """A row each for 5 and 10 s: no picture, no JSON."""
    from melgpt.model_folder import load

    opened = load(model)
    for seconds in (5.0, 10.0):
        ways: dict[str, Way] = {"ours": partial(make_wav, opened, out / "warm.wav", seconds)}
        yield row(f"label to file, {seconds:g} s, recipe {recipe}: in an open model", ways, rounds)
