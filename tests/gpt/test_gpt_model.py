"""The GPT: causality, the cache, rows, sizes."""

import math

import pytest
import torch
from torch import Tensor, nn

from melgpt.gpt.model import GPT, weight_decay_groups
from melgpt.native.kernels import find_kernels
from melgpt.nn import linear
from melgpt.nn.transformer import BlockConfig
from melgpt.runtime import threads
from tiny_gpt import BLOCKS, ROWS, VOCABULARY, WIDTH, made


@pytest.fixture(params=[(b, r) for b in BLOCKS for r in (0, ROWS)], ids=str)
def gpt(request: pytest.FixtureRequest) -> GPT:
    blocks, rows = request.param
    return made(blocks, rows=rows)


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_later_token_does_not_change_earlier_logits(gpt: GPT, place: int) -> None:
    tokens, prefix = torch.randint(VOCABULARY, (2, 9)), torch.randn(2, 2, WIDTH)
    changed = tokens.clone()
    changed[:, place] = (changed[:, place] + 1) % VOCABULARY
    before, after = gpt(tokens, prefix), gpt(changed, prefix)
    assert torch.allclose(before[:, : place + 1], after[:, : place + 1], atol=1e-5)
    assert not torch.allclose(before[:, place + 1], after[:, place + 1], atol=1e-3)


def test_logits_are_given_for_every_token_and_the_next(gpt: GPT) -> None:
    assert gpt(torch.zeros(3, 5, dtype=torch.int64), torch.randn(3, 2, WIDTH)).shape == (3, 6, VOCABULARY)
    assert gpt(torch.zeros(3, 0, dtype=torch.int64), torch.randn(3, 1, WIDTH)).shape == (3, 1, VOCABULARY)


def test_the_prefix_steers_all_logits(gpt: GPT) -> None:
    tokens = torch.randint(VOCABULARY, (1, 4))
    first, second = (gpt(tokens, torch.randn(1, 1, WIDTH)) for _ in range(2))
    assert ((first - second).abs().amax(-1) > 1e-3).all()


@pytest.mark.parametrize("given", [0, 1, 5])
def test_the_cache_gives_the_logits_of_the_whole_pass(gpt: GPT, given: int) -> None:
    tokens, prefix = torch.randint(VOCABULARY, (2, 12)), torch.randn(2, 2, WIDTH)
    whole = gpt(tokens, prefix)
    cache = gpt.empty_cache(2, 2 + 12)
    assert torch.allclose(gpt.prefill(tokens[:, :given], prefix, cache), whole[:, given], atol=1e-4)
    for index in range(given, 12):
        logits = gpt.step(tokens[:, index], index, 2, cache)
        assert torch.allclose(logits, whole[:, index + 1], atol=1e-4)


def test_with_kernels_a_sequence_depends_neither_on_those_beside_it_nor_on_threads(
    gpt: GPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_kernels() is None:
        pytest.skip("no C compiler here")
    # Matrix units would take over from some rows on, and sum in an order of their own.
    monkeypatch.setattr(linear, "has_matrix_units", lambda: False)
    gpt.write_quickly(rounded=True, kernels=True)
    tokens, prefix = torch.randint(VOCABULARY, (7, 12)), torch.randn(7, 1, WIDTH)

    def written(part: slice) -> Tensor:
        given, first = tokens[part], prefix[part]
        cache = gpt.empty_cache(len(given), 1 + 12)
        with gpt.writing(len(given)):
            logits = [gpt.prefill(given[:, :0], first, cache)]
            logits += [gpt.step(given[:, i], i, 1, cache) for i in range(12)]
        return torch.stack(logits, dim=1)

    with torch.inference_mode():
        together = written(slice(None))
        with threads(1):
            alone = torch.cat([written(slice(i, i + 1)) for i in range(len(tokens))])
        assert torch.equal(together, alone)


@pytest.mark.parametrize("blocks", BLOCKS)
def test_equal_tokens_are_told_apart_by_their_place(blocks: str) -> None:
    tokens = torch.full((1, 6), 4)
    logits = made(blocks, rows=0)(tokens, torch.randn(1, 1, WIDTH))[0, 1:]
    assert torch.pdist(logits).min() > 1e-3


def test_a_sequence_beyond_the_context_is_refused(gpt: GPT) -> None:
    with pytest.raises(ValueError, match="33 positions are more than the 32"):
        gpt(torch.zeros(1, 32, dtype=torch.int64), torch.randn(1, 1, WIDTH))


def test_rows_get_their_own_output_bias() -> None:
    gpt = made(rows=ROWS)
    nn.init.zeros_(gpt.head.weight)
    logits = gpt(torch.zeros(1, 5, dtype=torch.int64), torch.randn(1, 1, WIDTH))[0]
    assert torch.equal(logits, gpt.row_bias[torch.arange(6) % ROWS])


def test_training_starts_at_the_rows_frequencies() -> None:
    gpt = made(rows=ROWS)
    nn.init.zeros_(gpt.head.weight)
    count = torch.randint(100, (ROWS, VOCABULARY)).float()
    gpt.start_at_frequencies(count)
    share = gpt(torch.zeros(1, 2, dtype=torch.int64), torch.randn(1, 1, WIDTH)).softmax(-1)[0]
    expected = (count + 0.5) / (count + 0.5).sum(1, keepdim=True)
    assert torch.allclose(share, expected, atol=1e-5)


def test_a_gpt_without_rows_has_no_frequencies_to_start_from() -> None:
    with pytest.raises(ValueError, match="without rows"):
        made(rows=0).start_at_frequencies(torch.ones(1, VOCABULARY))


def test_gradients_reach_every_parameter(gpt: GPT) -> None:
    logits = gpt.train()(torch.randint(VOCABULARY, (4, 12)), torch.randn(4, 1, WIDTH))
    logits.log_softmax(-1)[..., 0].mean().backward()
    still = [name for name, p in gpt.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


def test_dropout_acts_in_training_alone() -> None:
    config = BLOCKS["modern"].changed(dropout=0.5)
    gpt = GPT(config, vocabulary=VOCABULARY, context=8)
    tokens, prefix = torch.zeros(1, 3, dtype=torch.int64), torch.randn(1, 1, WIDTH)
    assert not torch.equal(gpt(tokens, prefix), gpt(tokens, prefix))
    gpt.eval()
    assert torch.equal(gpt(tokens, prefix), gpt(tokens, prefix))


def test_weights_start_as_in_the_originals() -> None:
    gpt = GPT(BlockConfig.seed(layers=1, width=64, heads=2), vocabulary=50, context=9)
    for name, parameter in gpt.named_parameters():
        if "norm" not in name and name.endswith("weight"):
            assert float(parameter.detach().std()) == pytest.approx(0.02, rel=0.1), name
        elif name.endswith("bias") or name == "positions":
            assert not parameter.any(), name


def test_the_seeds_full_size_has_the_originals_number_of_parameters() -> None:
    width, layers, codes, classes = 1024, 24, 128, 8
    with torch.device("meta"):
        config = BlockConfig.seed(layers=layers, width=width, heads=16)
        gpt = GPT(config, vocabulary=codes, context=266)
    masks = layers * 266 * 266
    assert math.isclose(
        sum(p.numel() for p in gpt.parameters()) + classes * width + masks, 304.6e6, rel_tol=2e-4
    )


def test_decay_acts_on_the_matrices_of_linear_layers_alone(gpt: GPT) -> None:
    decayed, others = weight_decay_groups(gpt, 0.1)
    names = {id(p): name for name, p in gpt.named_parameters()}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    linear = {f"{name}.weight" for name, m in gpt.named_modules() if isinstance(m, nn.Linear)}
    assert {names[id(p)] for p in decayed["params"]} == linear
    assert len(decayed["params"]) + len(others["params"]) == len(names)
