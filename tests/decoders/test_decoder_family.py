"""What every registered mel decoder must do."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from melgpt import checkpoint
from melgpt.decoders.base import MelDecoder
from melgpt.decoders.flow import FlowConfig, FlowDecoder
from melgpt.registry import KINDS, build, configure
from melgpt.types import MelScale

SCALE = MelScale.preset("specvqgan")
SMALL = {"flow": {"widths": [16, 32], "blocks": 1, "steps": 2}}
TOKEN = 16
COLUMNS = 4


@pytest.fixture(params=sorted(KINDS["decoder"]))
def decoder(request: pytest.FixtureRequest) -> MelDecoder:
    kind = request.param
    config = configure("decoder", {"kind": kind, "mel": SCALE.plain(), **SMALL.get(kind, {})})
    torch.manual_seed(0)
    made = build("decoder", config.for_codec(3, TOKEN)).eval()  # type: ignore[attr-defined]
    for weight in made.parameters():  # also those that begin at 0
        weight.data += 0.05 * torch.randn_like(weight)
    return made


def given(clips: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Smooth mels, looked-up codes, noise."""
    torch.manual_seed(1)
    frames = COLUMNS * TOKEN
    smooth = torch.rand(clips, SCALE.n_mels, frames)
    return smooth, torch.randn(clips, 3, 5, COLUMNS), torch.randn(clips, SCALE.n_mels, frames)


def test_a_refined_mel_has_the_shape_and_range_of_mels(decoder: MelDecoder) -> None:
    refined = decoder.refine(*given())
    assert refined.shape == (2, SCALE.n_mels, COLUMNS * TOKEN)
    assert 0 <= refined.min() <= refined.max() <= 1


def test_the_same_noise_gives_the_same_mel_and_other_noise_another_take(decoder: MelDecoder) -> None:
    smooth, z, noise = given()
    first = decoder.refine(smooth, z, noise)
    assert torch.equal(first, decoder.refine(smooth, z, noise))
    assert torch.equal(first, decoder.refine(smooth, z, -noise)) != decoder.draws


def test_a_clip_does_not_depend_on_its_batch(decoder: MelDecoder) -> None:
    inputs = given()
    alone = decoder.refine(*(part[1:] for part in inputs))
    torch.testing.assert_close(decoder.refine(*inputs)[1:], alone, atol=1e-4, rtol=0)


def test_what_lies_beyond_its_reach_changes_nothing(decoder: MelDecoder) -> None:
    smooth, z, noise = given(1)
    frames = -(-(decoder.reach + 1) // TOKEN) * TOKEN
    wide = [part.repeat(1, 1, *[1] * (part.ndim - 3), 2 + 2 * frames // TOKEN) for part in (smooth, noise)]
    codes = z.repeat(1, 1, 1, 2 + 2 * frames // TOKEN)
    before = decoder.refine(wide[0], codes, wide[1])
    changed = [part.clone() for part in wide]
    for part in changed:
        part[..., :TOKEN] = 0.3
    codes = codes.clone()
    codes[..., :1] = 5.0
    after = decoder.refine(changed[0], codes, changed[1])
    far = TOKEN + frames
    torch.testing.assert_close(after[..., far:], before[..., far:], atol=1e-4, rtol=0)


def test_the_loss_is_one_number_a_clip_and_reaches_every_weight(decoder: MelDecoder) -> None:
    smooth, z, _ = given()
    loss = decoder.loss(torch.rand_like(smooth), smooth, z)
    assert loss.shape == (2,)
    assert decoder.trainable == bool(list(decoder.parameters()))
    if decoder.trainable:
        loss.mean().backward()
        assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in decoder.parameters())


def test_a_saved_decoder_opens_as_it_was(decoder: MelDecoder, tmp_path: Path) -> None:
    checkpoint.save(decoder, tmp_path / "decoder.safetensors")
    again = checkpoint.load(tmp_path / "decoder.safetensors", "decoder").eval()
    assert torch.equal(again.refine(*given()), decoder.refine(*given()))


def test_the_flow_in_bf16_draws_nearly_the_same() -> None:
    torch.manual_seed(0)
    config = FlowConfig(widths=(16, 32), blocks=1, depth=4)
    decoder = FlowDecoder(config).eval()
    torch.nn.init.normal_(decoder.last.weight, std=0.1)
    smooth, z, noise = torch.rand(1, 80, 32), torch.randn(1, 4, 5, 2), torch.randn(1, 80, 32)
    exact = decoder.refine(smooth, z, noise)
    decoder.to_bf16()
    rounded = decoder.refine(smooth, z, noise)
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().mean() < 0.002
    assert (exact - smooth).abs().mean() > 0.01
