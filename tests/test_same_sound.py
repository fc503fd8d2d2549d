"""Whatever makes it fast changes no result beyond a stated tolerance, on a model that has learnt."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import melgpt
from conftest import melgpt as command
from greedy import greedy
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.gpt.prior import Prior
from melgpt.native.kernels import find_kernels
from melgpt.nn import linear
from melgpt.pipeline import SoundModel
from melgpt.runtime import check_compiler, choose_device
from melgpt.vocoders.melgan import MelGAN, MelGANConfig

SAME = 0.99
"""Share of greedy tokens that must be those of the plain way."""


@pytest.fixture(scope="module")
def plain(learnt: Path) -> SoundModel:
    return melgpt.load(learnt, precision="fp32")


@pytest.fixture(scope="module")
def half(learnt: Path) -> SoundModel:
    return melgpt.load(learnt, precision="bf16")


@pytest.fixture(scope="module")
def mels(learnt: Path) -> list[Tensor]:
    """Whole clips [1, F, N] of the data."""
    store = Store.open(learnt / "data")
    return [torch.from_numpy(store.mel(row).astype(np.float32).T.copy())[None] for row in range(len(store))]


@torch.no_grad()
def _uncached(prior: Prior) -> Tensor:
    """Greedy tokens [classes, length] in the plain way: every position anew for every token."""
    label = torch.arange(len(prior.config.labels))
    tokens = torch.zeros(len(label), 0, dtype=torch.int64)
    for _ in range(prior.length):
        likeliest = prior(tokens, label)[:, -1].argmax(-1, keepdim=True)
        tokens = torch.cat([tokens, likeliest], dim=1)
    return tokens


@torch.inference_mode()
def _likeliest(prior: Prior, tokens: Tensor, batch: int) -> Tensor:
    """The likeliest token at each place of tokens [classes, length], through the cache, so many at a time."""
    labels, found = torch.arange(len(tokens)), []
    for part, given in zip(labels.split(batch), tokens.split(batch), strict=True):
        prefix, steps = prior.prefix(part), []
        cache = prior.gpt.empty_cache(len(part), prefix.shape[1] + prior.length)
        with prior.gpt.writing(len(part)):
            logits = prior.gpt.prefill(given[:, :0], prefix, cache)
            for place in range(prior.length):
                steps.append(logits.argmax(-1))
                if place < prior.length - 1:
                    logits = prior.gpt.step(given[:, place], place, prefix.shape[1], cache)
        found.append(torch.stack(steps, dim=1))
    return torch.cat(found)


@pytest.mark.parametrize("kernels", ["ours", "oneDNN's", "none"])
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("precision", ["fp32", "auto", "bf16"])
def test_greedy_tokens_are_those_of_the_plain_way(
    precision: str, batch: int, kernels: str, learnt: Path, plain: SoundModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernels == "ours" and find_kernels() is None:
        pytest.skip("no C compiler here")
    if kernels == "none":
        monkeypatch.setattr(linear, "_has_kernel", lambda weight: False)
    expected = _uncached(plain.prior)
    assert len(expected.unique(dim=0)) > 1, "the classes are told apart"
    model = melgpt.load(learnt, precision=precision, compile="auto" if kernels == "ours" else "off")
    found = _likeliest(model.prior, expected, batch)
    assert (found == expected).float().mean() >= SAME


def test_sampling_at_temperature_0_writes_them(plain: SoundModel) -> None:
    assert torch.equal(greedy(plain), _uncached(plain.prior))


def test_the_loss_is_that_in_float32_however_it_writes(
    plain: SoundModel, half: SoundModel, learnt: Path, mels: list[Tensor]
) -> None:
    def loss(model: SoundModel) -> float:
        total, count = 0.0, 0
        for row, mel in enumerate(mels):
            tokens = plain.codec.tokenize(mel).transpose(1, 2).flatten(1)[:, : model.prior.length]
            label = torch.tensor([row % len(model.labels)])
            logits = model.prior(tokens[:, :-1], label)
            total += float(torch.nn.functional.cross_entropy(logits[0], tokens[0], reduction="sum"))
            count += tokens.numel()
        return total / count

    rounded = melgpt.load(learnt)
    with torch.inference_mode():
        expected = loss(plain)
        assert loss(half) == pytest.approx(expected, rel=1e-3)
        with rounded.prior.gpt.writing(1):
            assert loss(rounded) == pytest.approx(expected, rel=1e-3)


def test_codes_are_taken_in_float_32_and_mels_come_out_alike(
    plain: SoundModel, half: SoundModel, mels: list[Tensor]
) -> None:
    assert next(half.codec.decoder.parameters()).dtype == torch.bfloat16
    with torch.inference_mode():
        for mel in mels[:8]:
            codes = half.codec.tokenize(mel)
            assert torch.equal(codes, plain.codec.tokenize(mel))
            restored, expected = half.codec.detokenize(codes), plain.codec.detokenize(codes)
            assert restored.dtype == torch.float32
            assert (restored - expected).abs().mean() < 0.002  # 0.2 dB
            assert (restored - expected).abs().max() > 0, "bf16 was not used"


def test_codes_do_not_depend_on_the_kernels(learnt: Path, plain: SoundModel, mels: list[Tensor]) -> None:
    if find_kernels() is None:
        pytest.skip("no C compiler here")
    other = melgpt.load(learnt, precision="fp32", compile="off")
    with torch.inference_mode():
        found, expected = (
            torch.cat([model.codec.tokenize(mel).flatten() for mel in mels]) for model in (plain, other)
        )
        assert (found == expected).float().mean() >= SAME
        restored, right = (model.codec.detokenize(other.codec.tokenize(mels[0])) for model in (plain, other))
        assert torch.allclose(restored, right, atol=1e-4)
        assert not torch.equal(restored, right), "the kernels were not used"


def test_melgan_in_bf16_sounds_the_same() -> None:
    vocoder = MelGAN(MelGANConfig(ngf=8)).eval()
    mel = torch.rand(1, 80, 60)
    with torch.inference_mode():
        expected = vocoder(mel)
        vocoder.to_bf16()
        found = vocoder(mel)
    assert found.dtype == torch.float32
    window = torch.hann_window(1024)
    before, after = (torch.stft(x, 1024, 256, window=window, return_complex=True) for x in (expected, found))
    distance = (after.abs() - before.abs()).norm() / before.abs().norm()
    assert 0 < distance < 0.02


def test_a_compiled_decoder_makes_the_same_mel(plain: SoundModel, learnt: Path, mels: list[Tensor]) -> None:
    try:
        check_compiler(choose_device("cpu"))
    except UserError as error:
        pytest.skip(str(error))
    compiled = melgpt.load(learnt, precision="fp32", compile="on", device="cpu")
    codes = plain.codec.tokenize(mels[0])
    with torch.inference_mode():
        assert torch.allclose(compiled.codec.detokenize(codes), plain.codec.detokenize(codes), atol=1e-5)


def test_without_a_compiler_it_is_said_in_a_line(learnt: Path, tmp_path: Path) -> None:
    nothing = {"CXX": str(tmp_path / "none"), "PATH": str(tmp_path)}
    done = command("generate", learnt, "--compile", "on", "--device", "cpu", "--out", tmp_path, **nothing)
    assert (done.returncode, done.stdout) == (2, "")
    assert "compile=on needs a C++ compiler" in done.stderr
    assert done.stderr.count("\n") == 1


def test_threads_are_taken(learnt: Path) -> None:
    before = torch.get_num_threads()
    try:
        melgpt.load(learnt, threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
