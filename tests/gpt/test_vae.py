"""The GPT-VAE: what its halves see, whole sounds, draws."""

from pathlib import Path

import pytest
import torch

from melgpt import checkpoint
from melgpt.errors import UserError
from melgpt.gpt.order import fill_up
from melgpt.gpt.sampling import Sampling, random_streams
from melgpt.gpt.vae import GPTVAE, GPTVAEConfig
from tiny_gpt import BLOCKS

GREEDY = Sampling(temperature=0)


def made(blocks: str = "modern", **options: object) -> GPTVAE:
    halves = {half: BLOCKS[blocks] for half in ("encoder", "decoder")}
    vae = GPTVAE(GPTVAEConfig.parse({**halves, "codebook": 7, "rows": 2, "columns": 5, **options})).eval()
    for parameter in vae.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.4)
    return vae


@pytest.fixture(params=[(b, r) for b in BLOCKS for r in (False, True)], ids=str)
def vae(request: pytest.FixtureRequest) -> GPTVAE:
    blocks, row_aware = request.param
    return made(blocks, row_aware=row_aware)


@pytest.mark.parametrize("place", [0, 4, 9])
@torch.inference_mode()
def test_every_token_of_a_sound_changes_z(vae: GPTVAE, place: int) -> None:
    tokens = torch.randint(7, (1, 10))
    changed = tokens.clone()
    changed[0, place] = (changed[0, place] + 1) % 7
    for before, after in zip(vae.encode(tokens), vae.encode(changed), strict=True):
        assert before.shape == (1, vae.latent)
        assert not torch.allclose(before, after, atol=1e-4)


@torch.inference_mode()
def test_the_encoder_sees_what_comes_after_a_position(vae: GPTVAE) -> None:
    tokens = torch.randint(7, (1, 10))
    changed = tokens.clone()
    changed[0, -1] = (changed[0, -1] + 1) % 7
    before, after = (vae.encoder._blocks(vae.encoder._embed(t, 0), 0, None) for t in (tokens, changed))
    assert not torch.allclose(before[0, 0], after[0, 0], atol=1e-4)


@torch.inference_mode()
def test_the_decoder_looks_back_only_and_z_steers_it(vae: GPTVAE) -> None:
    tokens, z = torch.randint(7, (1, 10)), torch.randn(1, vae.latent)
    changed = tokens.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 7
    before, after = vae.decode(tokens, z), vae.decode(changed, z)
    assert before.shape == (1, 11, 7)
    assert torch.allclose(before[:, :7], after[:, :7], atol=1e-5)
    assert not torch.allclose(before[:, 7:], after[:, 7:], atol=1e-4)
    assert not torch.allclose(before[:, 0], vae.decode(tokens, -z)[:, 0], atol=1e-4)


@torch.inference_mode()
def test_the_error_is_the_log_likelihood_of_the_tokens(vae: GPTVAE) -> None:
    tokens, z = torch.randint(7, (3, 10)), torch.randn(3, vae.latent)
    share = vae.decode(tokens[:, :-1], z).log_softmax(-1)
    expected = -share.gather(-1, tokens[..., None]).sum((1, 2))
    assert torch.allclose(vae.error(tokens, z), expected, rtol=1e-5)


@torch.inference_mode()
def test_the_greedy_sound_takes_the_likeliest_token_each_time(vae: GPTVAE) -> None:
    z = torch.randn(2, vae.latent)
    tokens = vae.write(z, GREEDY, random_streams(0, 2))
    assert tokens.shape == (2, 10)
    assert torch.equal(vae.decode(tokens[:, :-1], z).argmax(-1), tokens)
    assert torch.equal(vae.write(z, GREEDY, random_streams(1, 2), length=4), tokens[:, :4])


def test_sampled_sounds_follow_their_own_stream() -> None:
    vae = made()
    three = vae.draw_new(random_streams(5, 3))
    one = vae.draw_new(random_streams(5, 1, first=2))
    assert torch.equal(three[2:], one)
    written = vae.write(three, Sampling(), random_streams(6, 3))
    assert torch.equal(vae.write(one, Sampling(), random_streams(6, 1, first=2)), written[2:])


def test_z_has_the_mean_and_variance_that_it_is_drawn_with() -> None:
    mean, log_variance = torch.tensor([[3.0, -1.0]]), torch.tensor([[0.0, 2.0]])
    generator = torch.Generator().manual_seed(1)
    z = made().draw(mean.expand(20000, 2), log_variance.expand(20000, 2), generator)
    assert torch.allclose(z.mean(0), mean[0], atol=0.06)
    assert torch.allclose(z.var(0).log(), log_variance[0], atol=0.06)


def test_gradients_reach_every_parameter(vae: GPTVAE) -> None:
    tokens = torch.randint(7, (4, 10))
    mean, log_variance = vae.encode(tokens)
    vae.error(tokens, vae.draw(mean, log_variance)).mean().backward()
    still = [name for name, p in vae.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


def test_it_survives_a_file(vae: GPTVAE, tmp_path: Path) -> None:
    checkpoint.save(vae, tmp_path / "vae.safetensors", parents={"codec": "abc"})
    loaded = checkpoint.load(tmp_path / "vae.safetensors", "vae")
    assert loaded.config == vae.config
    tokens = torch.randint(7, (2, 10))
    assert torch.equal(loaded.encode(tokens)[0], vae.encode(tokens)[0])


def test_a_shorter_sound_is_followed_by_silence_and_a_longer_one_cut() -> None:
    column = torch.tensor([8, 9])
    assert fill_up(torch.tensor([1, 2, 3, 4]), column, 8).tolist() == [1, 2, 3, 4, 8, 9, 8, 9]
    assert fill_up(torch.arange(10), column, 8).tolist() == list(range(8))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="encoder.width and decoder.width must be equal, not 16 and 32"):
        made(decoder=BLOCKS["modern"].changed(width=32))
    with pytest.raises(ValueError, match="a whole sound has 10 tokens, not 8"):
        made().encode(torch.zeros(1, 8, dtype=torch.int64))


def test_a_plain_auto_encoder_learns_its_sounds_by_heart() -> None:
    vae = GPTVAE(made().config).train()
    tokens = torch.randint(7, (6, 10))
    adam = torch.optim.Adam(vae.parameters(), lr=1e-2)
    for _ in range(150):
        mean, log_variance = vae.encode(tokens)
        adam.zero_grad()
        vae.error(tokens, vae.draw(mean, log_variance)).mean().backward()
        adam.step()
    with torch.inference_mode():
        written = vae.eval().write(vae.encode(tokens)[0], GREEDY, random_streams(0, 6))
    assert (written == tokens).float().mean() > 0.95
