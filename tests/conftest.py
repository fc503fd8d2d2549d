"""Shared test settings: one thread a worker, the shared material by its folder, seeds fixed."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of inputs and outputs of the original classes: $MELGPT_GOLDEN or ../shared/golden."""
    folder = Path(os.environ.get("MELGPT_GOLDEN", SHARED / "golden"))
    if not folder.is_dir():
        pytest.skip(f"the golden files are not here ({folder}); set MELGPT_GOLDEN to their folder")
    return folder


@pytest.fixture(scope="session")
def esc10() -> Path:
    """Folder of 400 real clips in 10 classes."""
    folder = SHARED / "data" / "esc10"
    if not folder.is_dir():
        pytest.skip(f"the ESC-10 clips are not here ({folder})")
    return folder
