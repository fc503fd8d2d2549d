"""Kernels for a GPU are taken where they can be built, and where not that is said; the GPU is made up."""

import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from melgpt.native.on_gpu import find_gpu_kernels


class Kernels:
    """Stands for those of Triton."""

    error: Exception | None = None

    def try_out(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture(autouse=True)
def _a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    module = ModuleType("melgpt.native.gpu")
    module.GpuKernels = Kernels
    monkeypatch.setitem(sys.modules, "melgpt.native.gpu", module)
    find_gpu_kernels.cache_clear()
    yield
    find_gpu_kernels.cache_clear()


def test_they_are_taken_where_they_run() -> None:
    assert isinstance(find_gpu_kernels(), Kernels)


@pytest.mark.parametrize(
    "error", [RuntimeError("Failed to find C compiler"), subprocess.CalledProcessError(1, ["gcc"])]
)
def test_what_cannot_be_built_is_said(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Kernels, "error", error)
    assert find_gpu_kernels() is None
    assert f"cannot be built here: {error}" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kernels, "error", TypeError("ours"))
    with pytest.raises(TypeError, match="ours"):
        find_gpu_kernels()


def test_there_are_none_without_triton_or_a_gpu_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (6, 1))
    assert find_gpu_kernels() is None
    find_gpu_kernels.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setitem(sys.modules, "melgpt.native.gpu", None)
    assert find_gpu_kernels() is None
    find_gpu_kernels.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_gpu_kernels() is None
