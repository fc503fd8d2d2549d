"""The codebook of moving averages."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.codec.codec import Codec, CodecConfig
from melgpt.errors import UserError
from melgpt.quantizers.ema import EMAConfig, EMAQuantizer


def made(**options: float) -> EMAQuantizer:
    return EMAQuantizer(EMAConfig.parse({"codes": 8, "dim": 4, **options}))


def clusters(each: int, spread: float = 0.02) -> tuple[Tensor, Tensor]:
    """Eight unit centres [8, 4], opposite in pairs, and latents [1, 4, 8, each] close to them."""
    centres = torch.cat([torch.eye(4), -torch.eye(4)])
    noise = spread * torch.randn(8, each, 4)
    return centres, (centres[:, None] + noise).permute(2, 0, 1)[None]  # [8, each, D] → [1, D, 8, each]


def test_kmeans_finds_the_centres_of_the_first_batch() -> None:
    quantizer = made(codes=48)
    centres, z = clusters(20)
    assert not quantizer.started
    cosine = (F.normalize(z, dim=1) * quantizer(z).z).sum(1)
    assert quantizer.started
    assert cosine.mean() > 0.998
    nearest = (centres @ quantizer.codebook.T).amax(1)
    assert (nearest > 0.99).all()


def test_evaluation_before_training_does_not_start_kmeans() -> None:
    quantizer = made().eval()
    quantizer(clusters(5)[1])
    assert not quantizer.started


def test_a_codec_that_is_trained_in_bfloat16_takes_its_codes_in_float32() -> None:
    codec = Codec(CodecConfig.parse({"quantizer": {"kind": "ema", "codes": 512, "dim": 8}})).eval()
    z = torch.randn(2, codec.quantizer.dim, 5, 40).bfloat16()
    exact = codec.quantizer(z.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = codec.quantize(z)
    assert torch.equal(found.codes, exact.codes)
    assert torch.equal(found.z, exact.z)


def test_codes_have_unit_length_through_training() -> None:
    quantizer = made()
    for _ in range(5):
        result = quantizer(3 * torch.randn(2, 4, 3, 5))
        assert torch.allclose(quantizer.codebook.norm(dim=1), torch.ones(8), atol=1e-5)
        assert torch.allclose(result.z.norm(dim=1), torch.ones(2, 3, 5), atol=1e-5)


def test_looked_up_codes_have_unit_length_after_their_codebook_was_averaged() -> None:
    quantizer = made().eval()
    quantizer.codebook.mul_(0.5)
    assert torch.allclose(quantizer.lookup(torch.arange(8).view(1, 2, 4)).norm(dim=1), torch.ones(1, 2, 4))


def test_a_batch_smaller_than_the_codebook_can_start_it() -> None:
    quantizer = made(codes=64)
    quantizer(torch.randn(1, 4, 1, 3))
    assert quantizer.codebook.isfinite().all()
    assert quantizer.started


def test_dead_codes_move_to_outputs_of_the_encoder() -> None:
    quantizer = made(codes=16)
    _, z = clusters(20)
    quantizer(z)
    with torch.no_grad():
        quantizer.codebook.copy_(torch.tensor([0.0, 0.0, 0.0, -1.0]))
        quantizer.total.copy_(quantizer.codebook)
        quantizer.count.zero_()
    assert quantizer.eval()(z).metrics["use"] == 1 / 16
    quantizer.train()(z)
    outputs = F.normalize(z, dim=1)[0].flatten(1).T  # [M, D]
    assert ((quantizer.codebook[1:] @ outputs.T).amax(1) > 0.99).all()
    for _ in range(5):
        quantizer(z)
    after = quantizer.eval()(z)
    assert after.metrics["use"] > 4 / 16
    assert len(after.codes[0, :, 0].unique()) >= 4


def test_codes_in_use_stay_where_their_average_is() -> None:
    quantizer = made(codes=8, dead_below=0.05)
    _, z = clusters(20, spread=0.0)
    for _ in range(3):
        quantizer(z)
    used = quantizer(z).codes.unique()
    before = quantizer.codebook[used].clone()
    quantizer(z)
    assert torch.allclose(quantizer.codebook[used], before, atol=1e-4)


def test_a_code_follows_the_average_of_what_it_stands_for() -> None:
    quantizer = made(codes=2, decay=0.9)
    first, second = torch.tensor([1.0, 1, 1, 1]) / 2, torch.tensor([1.0, 1, 1, -1]) / 2
    for direction in (first, second):
        quantizer(torch.stack([direction, -direction], dim=1)[None, :, None])  # [1, D, 1, 2]
    expected = F.normalize(0.9 * first + 0.1 * second, dim=0)
    assert torch.allclose((quantizer.codebook @ expected).amax(), torch.tensor(1.0), atol=1e-5)
    assert torch.allclose(quantizer.codebook[0], -quantizer.codebook[1], atol=1e-5)


def test_the_loss_is_the_squared_distance_times_the_commitment() -> None:
    quantizer = made(commitment=0.5).eval()
    z = torch.randn(2, 4, 2, 3)
    result = quantizer(z)
    distance = (F.normalize(z, dim=1) - quantizer.lookup(result.codes)).square().mean()
    assert torch.allclose(result.loss, 0.5 * distance, atol=1e-6)


def test_quantizing_a_code_gives_that_code() -> None:
    quantizer = made().eval()
    codes = torch.arange(8).view(1, 2, 4)
    assert torch.equal(quantizer(quantizer.lookup(codes)).codes, codes)


def test_lengths_of_the_latent_do_not_matter() -> None:
    quantizer = made().eval()
    z = torch.randn(2, 4, 2, 3)
    assert torch.equal(quantizer(z).codes, quantizer(7 * z).codes)


@pytest.mark.parametrize("option", [{"codes": 0}, {"dim": 0}, {"decay": 1.0}, {"commitment": -1.0}])
def test_options_out_of_range_are_named(option: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"option {next(iter(option))}"):
        made(**option)
