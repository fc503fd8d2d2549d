"""Freed memory is used again, until the end."""

import platform
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from melgpt import pages
from melgpt.cli import main
from melgpt.pages import give_back, kept_pages
from melgpt.training.memory import resident_bytes

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")


def test_memory_is_kept_and_given_back_after() -> None:
    import resource

    def fetched() -> int:
        """Pages for ten tensors of 16 MiB, one after the other."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            torch.ones(4 << 20).mul_(2)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with kept_pages():
        fetched()
        assert fetched() < 100
        held = resident_bytes()
        give_back()
        assert resident_bytes() < held - (15 << 20)
        fetched()
        held = resident_bytes()
    assert resident_bytes() < held - (15 << 20)


def test_a_limit_has_freed_memory_given_back_at_once() -> None:
    # In a process of its own: what others left free in this one would be used first.
    code = """
import torch
from melgpt.pages import give_back_at_once
from melgpt.training.memory import resident_bytes
give_back_at_once(1 << 20)
before = resident_bytes()
kept = [torch.ones(1 << 20) for _ in range(20)]
assert resident_bytes() > before + (70 << 20)
del kept[::2]
assert resident_bytes() < before + (50 << 20), "without waiting for what lies behind it"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_with_a_limit_commands_keep_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(pages, "kept_pages", lambda: asked.append("kept") or nullcontext())
    for options, kept in (([], ["kept"]), (["--memory", "4GB"], [])):
        asked.clear()
        assert main(["train", "codec", "no-such-folder", "--out", "nowhere", *options]) == 2
        assert asked == kept
