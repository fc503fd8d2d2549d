"""The subjects, and what each does in its own process: figures as plain values, as JSON has them."""

import importlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from benchmarks.machine import Machine, measure

SUBJECTS = (
    "mel",
    "codec",
    "decoder",
    "vocoder",
    "sampling",
    "training",
    "prepare",
    "prepare_memory",
    "startup",
    "generate",
    "growth",
)


def machine() -> list[dict[str, Any]]:
    """The machine, measured."""
    return [asdict(measure())]


def rows(subject: str, machine: dict[str, Any], quick: bool) -> Iterator[dict[str, Any]]:
    """The rows of a subject, each as soon as it is there."""
    for row in importlib.import_module(f"benchmarks.{subject}").rows(Machine(**machine), quick):
        yield row.plain_values()
