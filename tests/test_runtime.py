"""Device and precision are chosen by what the machine has."""

from pathlib import Path

import pytest
import torch

from conftest import MICRO, melgpt
from melgpt import runtime
from melgpt.native.kernels import Kernels


@pytest.mark.parametrize(("units", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_bf16_is_chosen_where_the_cpu_has_units_for_it(
    units: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "has_bf16_units", lambda: units)
    assert runtime.choose_precision(torch.device("cpu")) == chosen


@pytest.mark.parametrize(
    ("name", "amx", "halves", "quicker"),
    [
        ("Intel(R) Xeon(R)", True, True, True),
        ("Intel(R) Xeon(R)", False, True, False),
        ("AMD EPYC", False, True, True),
        ("AMD EPYC", False, False, False),
    ],
)
def test_units_for_bf16_are_known_by_the_processor(
    name: str, amx: bool, halves: bool, quicker: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    known = {"cpu_name": name, "avx512_bf16": halves}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert runtime.has_bf16_units() is quicker


def test_a_named_precision_and_device_win() -> None:
    assert runtime.choose_precision(torch.device("cpu"), "bf16") == "bf16"
    assert runtime.choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("device", "wanted", "weights", "chosen"),
    [
        ("cuda", "auto", 10, "fp32"),
        ("cuda", "auto", 2000, "bf16"),
        ("cuda", "bf16", 10, "bf16"),
        ("cuda", "fp32", 2000, "fp32"),
        ("cpu", "auto", 10, "bf16"),
    ],
)
def test_a_gpu_trains_a_light_network_in_float32(
    device: str, wanted: str, weights: int, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "HEAVY", 1000)
    monkeypatch.setattr(runtime, "has_bf16_units", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    network = torch.nn.Linear(weights, 1, bias=False)
    assert runtime.training_precision(torch.device(device), wanted, network) == chosen


@pytest.mark.parametrize(
    ("device", "wanted", "chosen"),
    [
        ("cuda", "auto", "high"),
        ("cuda", "bf16", "high"),
        ("cuda", "fp32", "highest"),
        ("cpu", "auto", "highest"),
    ],
)
def test_products_are_quick_only_while_a_gpu_trains(device: str, wanted: str, chosen: str) -> None:
    before = torch.get_float32_matmul_precision()
    with runtime.quick_products(torch.device(device), wanted):
        assert torch.get_float32_matmul_precision() == chosen
    assert torch.get_float32_matmul_precision() == before == "highest"


def test_memory_is_told_in_gib() -> None:
    peak = runtime.peak_memory_gib()
    assert peak is None or 0.05 < peak < 64


def test_a_run_in_bf16_learns_too(trained: Path, tmp_path: Path) -> None:
    done = melgpt(
        "train", "codec", trained / "data", "--out", tmp_path, "--recipe", MICRO, "runtime.precision=bf16"
    )
    assert done.returncode == 0, done.stderr
    done = melgpt(
        "train", "prior", trained / "data", "--out", tmp_path, "--recipe", MICRO, "runtime.precision=bf16"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "prior.safetensors").is_file()


@pytest.mark.parametrize("switch", ["runtime.compile=off", "runtime.compile=auto"])
def test_one_switch_leaves_no_kernel(kernels: Kernels, corpus: Path, tmp_path: Path, switch: str) -> None:
    """Not those of mels, not those of training: nothing is compiled."""
    run, cache = tmp_path / "run", tmp_path / "cache"
    done = melgpt("fit", corpus, "--out", run, "--recipe", MICRO, switch, XDG_CACHE_HOME=str(cache))
    assert done.returncode == 0, done.stderr
    assert (cache / "melgpt").exists() == (switch == "runtime.compile=auto")
    options = ["--compile", switch.removeprefix("runtime.compile=")]
    sound = next(corpus.rglob("*.wav"))
    done = melgpt("reconstruct", run, sound, tmp_path / "again.wav", *options, XDG_CACHE_HOME=str(cache))
    assert done.returncode == 0, done.stderr
    assert (cache / "melgpt").exists() == (switch == "runtime.compile=auto")
