"""These run on a GPU: `MELGPT_TEST_CUDA=1 pytest tests/cuda`."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device is seen here; with one, MELGPT_TEST_CUDA=1 shows it to the tests")
