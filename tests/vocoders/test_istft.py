"""The vocoder of spectra: in pieces as a whole, without complex numbers as with them, closer when refined."""

import pytest
import torch
from torch import Tensor

from melgpt.audio.mel import analyse, mel_filterbank
from melgpt.native.kernels import find_kernels
from melgpt.types import PRESETS, Audio, MelScale
from melgpt.vocoders.istft import ISTFTConfig, ISTFTVocoder
from melgpt.vocoders.pieces import in_pieces
from melgpt.vocoders.spectrum import InverseSTFT, overlap_add

SMALL = {"width": 16, "hidden": 24, "layers": 2, "refine": 8}


def vocoder(**options: object) -> ISTFTVocoder:
    torch.manual_seed(0)
    made = ISTFTVocoder(ISTFTConfig.parse({**SMALL, **options})).eval()
    # Magnitudes, and in Vocos' way phases, far from those of the start, as a trained one has them.
    torch.nn.init.normal_(made.head.out.weight, std=0.5)
    return made


def mel(frames: int) -> Tensor:
    return 0.8 * torch.rand(1, 80, frames, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("options", [{}, {"refine": 2}, {"padding": "same"}, {"skip": False}])
@torch.inference_mode()
def test_pieces_give_the_sound_of_the_whole(options: dict[str, object], kernels: bool) -> None:
    part, whole = vocoder(**options), mel(301)
    part.write_quickly(rounded=True, kernels=kernels)
    frames = 2 * part.reach + 40
    pieces = list(in_pieces(part, iter(whole.split(17, dim=-1)), frames))
    assert len(pieces) > 3
    # Rounding: a product of another length adds up in another order, and phases of soft bins are sensitive.
    torch.testing.assert_close(torch.cat(pieces, dim=1), part(whole), atol=1e-3, rtol=0)


@torch.inference_mode()
def test_the_reach_is_no_smaller_than_what_a_frame_touches() -> None:
    part, whole = vocoder(refine=1), mel(161)
    changed = whole.clone()
    changed[..., 80] = 0
    touched = (part(whole) - part(changed)).abs().amax(0) > 1e-6
    first, last = (int(i) // part.scale.hop for i in touched.nonzero().flatten()[[0, -1]])
    assert 80 - part.reach <= first < 80 < last <= 80 + part.reach
    assert last - first >= part.reach, "the reach is far too large"


@pytest.mark.parametrize("scale", ["specvqgan", "wide"])
@pytest.mark.parametrize("padding", ["center", "same"])
def test_without_complex_numbers_it_is_the_same(scale: str, padding: str) -> None:
    sizes = MelScale.preset(scale)
    istft = InverseSTFT(sizes.n_fft, sizes.hop, padding)
    magnitude, phase = torch.randn(2, 2, 9, sizes.n_fft // 2 + 1)
    plain, refined = istft(magnitude.abs(), phase), istft(magnitude.abs(), phase, refine=2)
    istft.for_export()
    torch.testing.assert_close(istft(magnitude.abs(), phase), plain, atol=1e-5, rtol=0)
    torch.testing.assert_close(istft(magnitude.abs(), phase, refine=2), refined, atol=1e-4, rtol=0)


def test_the_spectrum_of_a_sound_gives_the_sound_and_refining_leaves_it() -> None:
    samples = torch.randn(1, 256 * 40)
    istft = InverseSTFT(1024, 256)
    padded = torch.nn.functional.pad(samples, (512, 512))
    spectrum = torch.fft.rfft(padded.unfold(-1, 1024, 256) * istft.window)
    for refine in (0, 1):
        made = istft(spectrum.abs(), spectrum.angle(), refine=refine)
        torch.testing.assert_close(made[:, : samples.shape[1]], samples, atol=1e-3, rtol=0)


def test_frames_are_laid_a_hop_apart() -> None:
    frames = torch.ones(1, 3, 5)
    expected = torch.tensor([[1, 1, 2, 2, 3, 2, 2, 1, 1.0]])
    torch.testing.assert_close(overlap_add(frames, 2), expected)
    torch.testing.assert_close(overlap_add(frames, 2, by_convolution=True), expected)


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (512, 200), (2048, 2048), (8, 3), (1000, 250)])
@pytest.mark.parametrize("frames", [1, 3, 90, 700])
@pytest.mark.parametrize("padding", ["center", "same"])
@torch.inference_mode()
def test_the_kernel_refines_as_torch_does(n_fft: int, hop: int, frames: int, padding: str) -> None:
    if find_kernels() is None:
        pytest.skip("no C compiler here")
    istft = InverseSTFT(n_fft, hop, padding)
    magnitude, phase = torch.rand(2, frames, n_fft // 2 + 1) ** 3, torch.randn(2, frames, n_fft // 2 + 1)
    for steps in (1, 2, 7):
        istft.compiled = False
        expected = istft(magnitude, phase, refine=steps)
        istft.compiled = True
        error = istft(magnitude, phase, refine=steps) - expected
        assert float(error.norm()) <= 1e-3 * float(expected.norm()) + 1e-6


def test_what_the_kernel_cannot_refine_is_refused() -> None:
    kernels = find_kernels()
    if kernels is None:
        pytest.skip("no C compiler here")
    for n_fft, bins, weights in ((1000, 501, 1500), (1024, 512, 1536), (1024, 513, 1535), (8192, 4097, 8704)):
        spectrum = torch.zeros(3, bins, dtype=torch.complex64)
        with pytest.raises(ValueError, match="for windows of"):
            kernels.refine(spectrum, spectrum.real, torch.ones(n_fft), torch.ones(weights), 256, 1, (1, 1, 1))


def test_with_gradients_it_refines_without_the_kernel() -> None:
    part, values = vocoder(refine=2), mel(20)
    part.write_quickly(rounded=True, kernels=True)
    part(values).square().mean().backward()
    assert float(part.head.out.weight.grad.norm()) > 0


@torch.inference_mode()
def test_refining_brings_the_sound_nearer_to_its_magnitudes() -> None:
    istft, magnitude = InverseSTFT(1024, 256), torch.rand(1, 60, 513)
    phase, errors = 6 * torch.rand(1, 60, 513), []
    for steps in (0, 4, 16, 64):
        made = torch.nn.functional.pad(istft(magnitude, phase, refine=steps), (512, 512))
        found = torch.fft.rfft(made.unfold(-1, 1024, 256) * istft.window).abs()[:, :60]
        errors.append(float((found - magnitude)[:, 4:-4].norm()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.6 * errors[0]


@pytest.mark.parametrize("preset", PRESETS)
@torch.inference_mode()
def test_fitting_brings_the_bands_near_and_leaves_bins_without_a_band(preset: str) -> None:
    scale = MelScale.preset(preset)
    part = vocoder(mel=scale.plain(), fit=0)
    values = 0.3 + 0.5 * torch.rand(1, scale.n_mels, 7)
    before = part.magnitudes(values)
    fitted = vocoder(mel=scale.plain(), fit=30).magnitudes(values)
    bank = mel_filterbank(scale)
    apart = bank.sum(0) == 0
    assert torch.equal(fitted[..., apart], before[..., apart])
    told = bank.sum(1) > 0
    wanted = part.log_bands(values).exp().transpose(1, 2)[..., told]
    errors = [float(((m @ bank.T)[..., told] / wanted).log().abs().mean()) for m in (before, fitted)]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("kernels", [True, False])
@torch.inference_mode()
def test_silence_is_silent(kernels: bool) -> None:
    part, values = vocoder(), mel(90)
    part.write_quickly(rounded=False, kernels=kernels)
    assert not part(torch.zeros_like(values)).any()
    values[..., 30:60] = 0
    hop, edge = part.scale.hop, part.head.istft.reach
    samples = part(values)
    assert not samples[:, (30 + edge) * hop : (60 - edge) * hop].any()
    assert samples[:, : 30 * hop].any()


@torch.inference_mode()
def test_a_band_at_0_is_silent_among_others() -> None:
    part, values = vocoder(), mel(5)
    values[:, 30:40] = 0
    bank = mel_filterbank(part.scale)
    # Bins that no other band hears.
    silent = (bank[30:40].sum(0) > 0) & (bank[:30].sum(0) + bank[40:].sum(0) == 0)
    assert silent.any()
    made = part.magnitudes(values)
    assert not made[..., silent].any()
    assert made[..., bank[:30].sum(0) > 0].all()


def test_silence_is_learnt_from_without_gradients_that_are_no_numbers() -> None:
    part, values = vocoder().train(), mel(20)
    values[:, 30:40], values[..., 10:] = 0, 0
    part(values).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in part.parameters() if p.grad is not None)
    assert part.head.out.weight.grad is not None


@torch.inference_mode()
def test_the_skip_makes_the_level_that_the_mel_tells_before_anything_is_learnt() -> None:
    scale = MelScale()
    noise = 0.1 * torch.randn(1, scale.rate)
    wanted = analyse(Audio(noise, scale.rate), scale).values
    torch.manual_seed(0)
    untrained = ISTFTVocoder(ISTFTConfig(refine=8)).eval()
    made = analyse(Audio(untrained(wanted), scale.rate), scale).values
    assert float((made - wanted[..., : made.shape[-1]]).abs().mean()) < 0.15


@torch.inference_mode()
def test_bf16_is_close_to_float32() -> None:
    exact, rounded = vocoder(), vocoder()
    rounded.to_bf16()
    assert rounded.backbone.embed.weight.dtype == torch.bfloat16
    assert rounded.head.out.weight.dtype == torch.float32
    whole, part = exact(mel(30)), rounded(mel(30))
    assert float((whole - part).std() / whole.std()) < 0.1


@torch.inference_mode()
def test_for_export_the_graph_has_no_complex_numbers() -> None:
    part, values = vocoder(refine=1), mel(33)
    expected = part(values)
    part.head.istft.for_export()
    frames = torch.export.Dim("frames", min=4, max=4000)
    program = torch.export.export(part, (mel(20),), dynamic_shapes={"mel": {2: frames}})
    made = program.module()(values)
    assert not [node for node in program.graph.nodes if "fft" in str(node.target) or "complex" in str(node)]
    torch.testing.assert_close(made, expected, atol=1e-3, rtol=0)
