"""Shared test settings: one thread a worker, the shared material by its folder, seeds fixed."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "MELGPT_TEST_CUDA" not in os.environ:
    # The tests compare what they make themselves, on the CPU; those in tests/cuda are for a GPU.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings

from melgpt.native.kernels import Kernels, find_kernels

# No wall-clock limits: the machine may be busy with something else.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def kernels() -> Kernels:
    """The compiled kernels."""
    found = find_kernels()
    if found is None:
        pytest.skip("no C compiler here")
    return found


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


@pytest.fixture(scope="session")
def one_shots() -> Path:
    """Folder of 158 published one-shots and loops of 15 kinds."""
    folder = SHARED / "data" / "sonic_pi"
    if not folder.is_dir():
        pytest.skip(f"the one-shots are not here ({folder})")
    return folder


@pytest.fixture(scope="session")
def vas_sample() -> Path:
    """Folder of four published VAS mels with their videos, and the published lists."""
    folder = SHARED / "data" / "vas_sample"
    if not folder.is_dir():
        pytest.skip(f"the published VAS mels are not here ({folder})")
    return folder


MICRO = Path(__file__).parent / "micro.toml"


@pytest.fixture(scope="session")
def shared_tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def corpus(shared_tmp: Path) -> Path:
    """A folder of 24 short sounds in eight classes."""
    from melgpt.data.demo_corpus import build

    folder = shared_tmp / "corpus"
    with FileLock(shared_tmp / "corpus.lock"):
        if not folder.exists():
            build(folder.with_name("corpus.new"), clips_per_class=3)
            folder.with_name("corpus.new").rename(folder)
    return folder


@pytest.fixture(scope="session")
def trained(shared_tmp: Path, corpus: Path) -> Path:
    """A model folder that `melgpt fit` wrote with the micro recipe, in a process of its own."""
    folder = shared_tmp / "trained"
    with FileLock(shared_tmp / "trained.lock"):
        if not folder.exists():
            new = folder.with_name("trained.new")
            done = melgpt("fit", corpus, "--out", new, "--recipe", MICRO)
            assert done.returncode == 0, done.stderr
            new.rename(folder)
    return folder


@pytest.fixture(scope="session")
def learnt(shared_tmp: Path, corpus: Path) -> Path:
    """Like `trained`, with enough steps that the prior knows its classes: what rounding does shows there."""
    longer = {
        "codec": "steps=200 batch=4 validate_every=100 adversarial_start=500 learning_rate=2e-3",
        "prior": "steps=300 batch=8 validate_every=100 learning_rate=3e-3",
    }
    steps = [f"train.{stage}.{each}" for stage, options in longer.items() for each in options.split()]
    sizes = [
        "codec.network.channels=16",
        "prior.blocks.layers=2",
        "prior.blocks.width=64",
        "prior.blocks.heads=4",
    ]
    folder = shared_tmp / "learnt"
    with FileLock(shared_tmp / "learnt.lock"):
        if not folder.exists():
            new = folder.with_name("learnt.new")
            done = melgpt("fit", corpus, "--out", new, "--recipe", MICRO, *sizes, *steps)
            assert done.returncode == 0, done.stderr
            new.rename(folder)
    return folder


@pytest.fixture(scope="session")
def with_vae(shared_tmp: Path, trained: Path) -> Path:
    """A copy of the trained folder that got a VAE, and has no prior."""
    folder = shared_tmp / "with_vae"
    with FileLock(shared_tmp / "with_vae.lock"):
        if not folder.exists():
            new = shutil.copytree(trained, folder.with_name("with_vae.new"))
            (new / "prior.safetensors").unlink()
            done = melgpt("train", "vae", new / "data", "--out", new)
            assert done.returncode == 0, done.stderr
            new.rename(folder)
    return folder


def melgpt(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, on one thread."""
    return subprocess.run(
        [sys.executable, "-m", "melgpt", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        check=False,
    )
