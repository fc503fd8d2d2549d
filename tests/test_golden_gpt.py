"""The GPT is the originals', layer for layer: their weights and inputs give their outputs."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.codec.codec import Codec
from melgpt.errors import UserError
from melgpt.gpt.order import flatten, unflatten
from melgpt.gpt.prior import Prior
from melgpt.gpt.sampling import Sampling, probabilities, random_streams, sample
from melgpt.pretrained import codec as codec_import
from melgpt.pretrained.gpt import config_of_original, from_original
from melgpt.types import MelScale

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
GREEDY = Sampling(temperature=0)


@dataclass
class Case:
    """A golden file with the prior that its weights make."""

    config: dict
    inputs: dict[str, Tensor]
    outputs: dict
    state: dict[str, Tensor]
    prior: Prior
    label: Tensor


@pytest.fixture(scope="module", params=["lit_mingpt_class.pt", "specvqgan_net2net_class.pt"])
def case(request: pytest.FixtureRequest, golden: Path) -> Case:
    content = torch.load(golden / request.param, weights_only=True)
    state, outputs = content["checkpoint"]["state_dict"], content["outputs"]
    prior = Prior(config_of_original(state, heads=content["config"]["gpt"]["n_head"]))
    prior.load_state_dict(from_original(state), strict=True)
    label = outputs.get("class_in", outputs.get("cond"))[:, 0].long()
    return Case(content["config"], content["inputs"], outputs, state, prior.eval(), label)


@torch.inference_mode()
def greedy(case: Case, length: int) -> Tensor:
    """New tokens [B, length] from nothing."""
    rows = sample(
        case.prior.gpt,
        case.prior.conditioning(case.label),
        case.prior.conditioning.nothing(len(case.label)),
        length=length,
        end=case.prior.end,
        rows=1,
        sampling=GREEDY,
        streams=random_streams(0, len(case.label)),
    )
    return torch.stack(rows)


def test_sizes_are_read_from_the_weights(case: Case) -> None:
    expected, config = case.config["gpt"], case.prior.config
    assert (config.blocks.layers, config.blocks.width) == (expected["n_layer"], expected["n_embd"])
    assert config.codebook == expected["vocab_size"]
    assert case.prior.gpt.context == expected["block_size"]
    assert len(config.labels) == expected.get("class_size", case.config.get("classes"))


@torch.inference_mode()
def test_logits_and_loss_equal_the_originals(case: Case) -> None:
    tokens, target = case.outputs["tokens"], case.outputs["target"]
    logits = case.prior(tokens[:, :-1], case.label)
    assert torch.allclose(logits, case.outputs["logits"], **CLOSE)
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten())
    assert float(loss) == pytest.approx(case.outputs["val_loss"], rel=1e-5, abs=1e-6)


@torch.inference_mode()
def test_greedy_samples_equal_the_originals(case: Case) -> None:
    expected = case.outputs["greedy_from_empty"]
    assert torch.equal(greedy(case, expected.shape[1]), expected)


@torch.inference_mode()
def test_greedy_continuations_equal_the_originals(case: Case) -> None:
    expected, given = case.outputs["greedy_after_132_tokens"], 132
    gpt, prefix = case.prior.gpt, case.prior.conditioning(case.label)
    cache = gpt.empty_cache(len(prefix), 1 + expected.shape[1])
    tokens = expected[:, :given]
    logits = gpt.prefill(tokens, prefix, cache)
    for index in range(given, expected.shape[1]):
        token = logits.argmax(-1)
        tokens = torch.cat([tokens, token[:, None]], dim=1)
        logits = gpt.step(token, index, 1, cache)
    assert torch.equal(tokens, expected)


@pytest.mark.parametrize("case", ["lit_mingpt_class.pt"], indirect=True)
@torch.inference_mode()
def test_probabilities_after_the_filters_equal_the_originals(case: Case) -> None:
    stored = dict(case.outputs["filtered_probabilities"])
    position, raw = stored.pop("position"), stored.pop("raw_logits")
    assert torch.allclose(case.outputs["logits"][:, position], raw, **CLOSE)
    assert stored
    for name, expected in stored.items():
        temperature, top_k = re.fullmatch(r"t([\d.]+)_k(\d+|None).*", name).groups()
        options = Sampling(temperature=float(temperature), top_k=0 if top_k == "None" else int(top_k))
        assert torch.allclose(probabilities(raw, options).float(), expected, atol=1e-6), name


@pytest.mark.parametrize("case", ["lit_mingpt_class.pt"], indirect=True)
@torch.inference_mode()
def test_the_first_token_hangs_on_the_class_alone(case: Case) -> None:
    logits = case.prior(torch.zeros(len(case.label), 0, dtype=torch.int64), case.label)
    assert torch.allclose(logits, case.outputs["logits_empty_prefix"], **CLOSE)


@torch.inference_mode()
def test_codec_and_gpt_of_one_file_go_the_whole_road(golden: Path) -> None:
    content = torch.load(golden / "specvqgan_net2net_class.pt", weights_only=True)
    state, x, expected = content["checkpoint"]["state_dict"], content["inputs"]["x"], content["outputs"]
    codec = Codec(codec_import.config_of_original(state, MelScale(n_mels=x.shape[2]))).eval()
    codec.load_state_dict(codec_import.from_original(state), strict=True)
    grid = codec.encode(x).codes
    assert torch.equal(grid, expected["indices_grid_row_major"])
    assert torch.equal(flatten(grid), expected["tokens"])
    codes = unflatten(expected["tokens"], grid.shape[1])
    assert torch.allclose(codec.decode(codec.quantizer.lookup(codes)), expected["decode_of_tokens"], **CLOSE)


@pytest.mark.parametrize("case", ["specvqgan_net2net_class.pt"], indirect=True)
@torch.inference_mode()
def test_whole_greedy_grids_equal_the_originals(case: Case) -> None:
    expected = case.outputs["generate_samples_greedy_nopix"]
    assert torch.equal(greedy(case, expected.shape[1]), expected)


def test_the_vector_of_no_class_is_the_mean_of_the_classes(case: Case) -> None:
    vectors = case.prior.conditioning.embedding.weight
    assert torch.allclose(vectors[-1], vectors[:-1].mean(0), atol=1e-6)


def test_a_full_size_file_fits_the_seeds_configuration(golden: Path) -> None:
    stored = json.loads((golden / "keys_full_size.json").read_text(encoding="utf-8"))
    listed = stored["karchkha_lit_mingpt_vas"]
    state = {}
    for key, (shape, _) in listed["keys"].items():
        is_mask = key.endswith("attn.mask")
        tensor = torch.ones(shape).tril() if is_mask else torch.empty(shape, device="meta")
        for i in range(listed["n_blocks"]) if ".blocks.0." in key else (0,):
            state[key.replace(".blocks.0.", f".blocks.{i}.")] = tensor
    assert len(state) == listed["n_tensors"]
    with torch.device("meta"):
        prior = Prior(config_of_original(state, heads=16))
    prior.load_state_dict(from_original(state), strict=True, assign=True)
    assert prior.config.blocks.layers == listed["n_blocks"]
    assert (prior.config.rows, prior.config.columns) == (5, 53)


def test_what_does_not_fit_is_refused(case: Case) -> None:
    heads = case.config["gpt"]["n_head"]
    with pytest.raises(UserError, match="2 labels were given"):
        config_of_original(case.state, heads=heads, labels=["dog", "cat"])
    with pytest.raises(UserError, match="not whole columns of 7 rows"):
        config_of_original(case.state, heads=heads, rows=7)
    with pytest.raises(UserError, match=r"it has no part 'blocks\.0\.extra'"):
        from_original({**case.state, "transformer.blocks.0.extra": torch.zeros(1)})
    ahead = {key: torch.ones_like(t) if key.endswith("mask") else t for key, t in case.state.items()}
    with pytest.raises(UserError, match="also looks ahead"):
        from_original(ahead)
    with pytest.raises(UserError, match="it lacks tok_emb.weight, pos_emb, embedder.weight"):
        from_original({"layer.weight": torch.zeros(1)})
