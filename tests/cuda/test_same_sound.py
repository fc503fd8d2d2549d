"""A GPU gives what a CPU gives, beyond a stated tolerance, on a model that has learnt (there)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import melgpt
from conftest import melgpt as command
from greedy import greedy
from melgpt.data.store import Store
from melgpt.pipeline import SoundModel

SAME = 0.99
"""Share of codes and tokens that must be those of float32 on the CPU."""


@pytest.fixture(scope="module")
def cpu(learnt: Path) -> SoundModel:
    return melgpt.load(learnt, precision="fp32", device="cpu")


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def gpu(request: pytest.FixtureRequest, learnt: Path) -> SoundModel:
    return melgpt.load(learnt, precision=request.param, device="cuda")


@pytest.fixture(scope="module")
def mels(learnt: Path) -> list[Tensor]:
    store = Store.open(learnt / "data")
    return [torch.from_numpy(store.mel(row).astype(np.float32).T.copy())[None] for row in range(len(store))]


@torch.inference_mode()
def test_the_likeliest_tokens_are_the_same(cpu: SoundModel, gpu: SoundModel) -> None:
    """Each after the same ones: a single other token would change all that follow it."""
    written = greedy(cpu)
    labels = torch.arange(len(written))
    expected = cpu.prior(written[:, :-1], labels).argmax(-1)
    found = gpu.prior(written[:, :-1].cuda(), labels.cuda()).argmax(-1).cpu()
    assert (found == expected).float().mean() >= SAME
    assert len(greedy(gpu)) == len(written)


@torch.inference_mode()
def test_codes_are_the_same_and_mels_come_out_alike(
    cpu: SoundModel, gpu: SoundModel, mels: list[Tensor]
) -> None:
    codes = [cpu.codec.tokenize(mel) for mel in mels]
    found = torch.cat([gpu.codec.tokenize(mel.cuda()).cpu().flatten() for mel in mels])
    assert (found == torch.cat([each.flatten() for each in codes])).float().mean() >= SAME
    for each in codes[:8]:
        restored, expected = gpu.codec.detokenize(each.cuda()).cpu(), cpu.codec.detokenize(each)
        assert (restored - expected).abs().mean() < 0.002  # 0.2 dB


def test_sounds_are_written_and_read(gpu: SoundModel) -> None:
    sounds = gpu.generate(label=gpu.labels[0], n=2, seconds=0.5, seed=3)
    for sound in sounds:
        assert sound.audio.samples.isfinite().all()
        assert sound.audio.samples.abs().max() > 1e-3
        assert not gpu.decode(gpu.encode(sound.audio)).samples.is_cuda


def test_a_network_vocoder_sounds_the_same_on_both() -> None:
    from melgpt import registry

    mel = torch.rand(1, 80, 60)
    for kind in ("istft", "melgan", "griffin_lim"):
        vocoder = registry.build("vocoder", registry.configure("vocoder", kind)).eval()
        with torch.inference_mode():
            expected = vocoder(mel, generator=torch.Generator().manual_seed(1))
            found = vocoder.cuda()(mel.cuda(), generator=torch.Generator().manual_seed(1)).cpu()
        window = torch.hann_window(1024)
        before, after = (
            torch.stft(x, 1024, 256, window=window, return_complex=True).abs() for x in (expected, found)
        )
        assert (after - before).norm() / before.norm() < 0.02, kind


def test_training_keeps_to_its_memory(learnt: Path, tmp_path: Path) -> None:
    done = command(
        "train", "codec", learnt / "data", "--out", tmp_path, "--memory", "2GB", "train.codec.steps=4"
    )
    assert done.returncode == 0, done.stderr
    assert "of 2.00 GB" in done.stderr + done.stdout
