"""Freed memory is used again, until the end."""

import platform

import pytest
import torch

from melgpt.pages import kept_pages
from melgpt.training.memory import resident_bytes


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_is_kept_and_given_back_after() -> None:
    import resource

    def fetched() -> int:
        """Pages for ten tensors of 16 MiB, one after the other."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            torch.ones(4 << 20).mul_(2)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with kept_pages():
        with kept_pages():
            fetched()
            assert fetched() < 100
            held = resident_bytes()
        assert resident_bytes() < held - (15 << 20)
        fetched()
        assert fetched() < 100, "the inner block has changed nothing for the outer one"
    assert resident_bytes() < held - (15 << 20)
