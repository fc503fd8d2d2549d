"""Sharp mels in pieces are those of the whole, whatever the pieces are."""

import pytest
import torch
from torch import Tensor

from melgpt import registry
from melgpt.codec.codec import Codec
from melgpt.decoders.flow import FlowConfig, FlowDecoder
from melgpt.decoders.none import NoDecoder, NoDecoderConfig
from melgpt.decoders.pieces import Noise, refine_whole, refined_pieces

TOKEN = 8


@pytest.fixture(scope="module")
def codec() -> Codec:
    torch.manual_seed(0)
    options = {
        "network": {
            "channels": 8,
            "multipliers": [1, 2],
            "residual_blocks": 1,
            "attention_levels": [],
            "latent": 16,
            "stem_stride": [4, 4],
            "strides": [[2, 2]],
        },
        "quantizer": {"kind": "fsq", "levels": [5, 5]},
    }
    return registry.build("codec", registry.configure("codec", {"kind": "vqgan", **options})).eval()


@pytest.fixture(scope="module")
def flow(codec: Codec) -> FlowDecoder:
    torch.manual_seed(0)
    config = FlowConfig(mel=codec.scale, widths=(16,), blocks=1, steps=2).for_codec(2, TOKEN)
    decoder = FlowDecoder(config).eval()
    for weight in decoder.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    return decoder


def noise(take: int = 0, clips: int = 1) -> Noise:
    return Noise.of_take(range(3, 3 + clips), take, 80)


def in_pieces(codec: Codec, decoder: FlowDecoder, grid: Tensor, columns: int, part: int) -> Tensor:
    parts = iter(grid.split(part, dim=-1))
    return torch.cat(list(refined_pieces(codec, decoder, parts, columns, noise())), dim=-1)


@pytest.mark.parametrize("frames", [[40], [16, 24], [1, 39], [7, 8, 25]])
def test_noise_is_the_same_whatever_pieces_it_is_asked_for_in(frames: list[int]) -> None:
    drawn = noise(clips=2)
    assert torch.equal(
        torch.cat([drawn.next(count) for count in frames], dim=-1), noise(clips=2).next(sum(frames))
    )


def test_a_clip_and_a_take_have_noise_of_their_own() -> None:
    one, other = noise(0, 2).next(32)
    assert abs(float((one * other).mean())) < 0.05
    assert abs(float((one * noise(1).next(32)[0]).mean())) < 0.05
    assert torch.equal(one, noise(0, 1).next(32)[0])


def test_one_piece_is_the_whole(codec: Codec, flow: FlowDecoder) -> None:
    grid = torch.randint(25, (1, 10, 6), generator=torch.Generator().manual_seed(0))
    whole = refine_whole(codec, flow, grid, noise())
    assert torch.equal(in_pieces(codec, flow, grid, 50, 6), whole)


@pytest.mark.parametrize("part", [1, 5, 90])
def test_pieces_have_no_seam(codec: Codec, flow: FlowDecoder, part: int) -> None:
    """Against the whole smooth mel in the same pieces of the codec, which alone has a seam error."""
    grid = torch.randint(25, (1, 10, 90), generator=torch.Generator().manual_seed(0))
    columns = 20
    smooth = torch.cat(list(refined_pieces(codec, none(codec), iter([grid]), columns, noise())), dim=-1)
    z = codec.quantizer.lookup(grid)
    whole = flow.refine(smooth, z, noise().next(smooth.shape[-1]))
    made = in_pieces(codec, flow, grid, columns, part)
    assert 4 * flow.reach < made.shape[-1], "there must be several pieces"
    torch.testing.assert_close(made, whole, atol=1e-4, rtol=0)


def none(codec: Codec) -> NoDecoder:
    return NoDecoder(NoDecoderConfig(mel=codec.scale))
