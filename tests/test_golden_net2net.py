"""SpecVQGAN's Net2NetTransformer, whole: steered by a class or a video, and longer than its context."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.codec.codec import Codec
from melgpt.errors import UserError
from melgpt.gpt.long import Window, centres, sample_long, strides
from melgpt.gpt.order import flatten, unflatten
from melgpt.gpt.prior import Prior
from melgpt.gpt.sampling import Sampling, random_streams
from melgpt.pretrained import gpt, net2net
from melgpt.types import MelScale

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
GREEDY = Sampling(temperature=0)


@dataclass
class Case:
    """A golden file with the parts that its weights make."""

    config: dict
    outputs: dict
    state: dict[str, Tensor]
    x: Tensor
    codec: Codec
    prior: Prior
    label: Tensor
    features: Tensor | None

    @property
    def prefix(self) -> Tensor:
        return self.prior.prefix(self.label, self.features)

    def greedy(self, plan: list[Window], given: Tensor | None = None) -> Tensor:
        prior = self.prior
        return sample_long(
            prior.gpt,
            lambda start: self.prefix,
            prior.conditioning.nothing(len(self.label)),
            plan=plan,
            rows=prior.config.rows,
            codes=prior.config.codebook,
            sampling=GREEDY,
            streams=random_streams(0, len(self.label)),
            given=given,
        )


@pytest.fixture(scope="module", params=["class", "feats"])
def case(request: pytest.FixtureRequest, golden: Path) -> Case:
    content = torch.load(golden / f"specvqgan_net2net_{request.param}.pt", weights_only=True)
    state, outputs, x = content["checkpoint"]["state_dict"], content["outputs"], content["inputs"]["x"]
    scale = MelScale(n_mels=x.shape[2])
    configs = net2net.config_of_original(state, heads=content["config"]["gpt"]["n_head"], scale=scale)
    weights = net2net.from_original(state)
    codec, prior = Codec(configs.codec).eval(), Prior(configs.prior).eval()
    codec.load_state_dict(weights.codec, strict=True)
    prior.load_state_dict(weights.prior, strict=True)
    seen = content["inputs"].get("feature_batch")
    label = outputs["cond"][:, 0].long() if seen is None else torch.zeros(len(x), dtype=torch.int64)
    return Case(content["config"], outputs, state, x, codec, prior, label, seen)


def test_sizes_are_read_from_the_weights(case: Case) -> None:
    expected, config = case.config["gpt"], case.prior.config
    assert case.prior.gpt.context == expected["block_size"]
    assert config.codebook == case.codec.codebook_size == expected["vocab_size"]
    assert (config.rows, config.columns) == case.outputs["indices_grid_row_major"].shape[1:]
    if case.features is not None:
        assert config.conditioning.frames == case.config["feat_len"]
        assert config.conditioning.depth == case.config["feat_depth"]
        assert config.labels == ()


@torch.inference_mode()
def test_tokens_and_pictures_equal_the_originals(case: Case) -> None:
    grid = case.codec.encode(case.x).codes
    assert torch.equal(grid, case.outputs["indices_grid_row_major"])
    assert torch.equal(flatten(grid), case.outputs["tokens"])
    codes = unflatten(case.outputs["tokens"], grid.shape[1])
    picture = case.codec.decode(case.codec.quantizer.lookup(codes))
    assert torch.allclose(picture, case.outputs["decode_of_tokens"], **CLOSE)


@torch.inference_mode()
def test_logits_and_loss_equal_the_originals(case: Case) -> None:
    logits = case.prior(case.outputs["tokens"][:, :-1], case.label, case.features)
    assert torch.allclose(logits, case.outputs["logits"], **CLOSE)
    loss = F.cross_entropy(logits.flatten(0, 1), case.outputs["target"].flatten())
    assert float(loss) == pytest.approx(case.outputs["val_loss"], rel=1e-5, abs=1e-6)


@torch.inference_mode()
def test_greedy_samples_equal_the_originals(case: Case) -> None:
    rows = case.prior.config.rows
    expected = case.outputs["greedy_from_empty"]
    assert torch.equal(case.greedy(strides(expected.shape[1] // rows, 53)), expected)
    whole = case.outputs["generate_samples_greedy_half"]
    columns = whole.shape[1] // rows
    given = case.outputs["tokens"][:, : columns // 2 * rows]
    assert torch.equal(whole[:, : given.shape[1]], given)
    assert torch.equal(case.greedy(strides(columns, columns, given=columns // 2), given), whole)
    if "generate_samples_greedy_nopix" in case.outputs:
        whole = case.outputs["generate_samples_greedy_nopix"]
        assert torch.equal(case.greedy(strides(columns, columns)), whole)


@pytest.mark.parametrize("case", ["class"], indirect=True)
@pytest.mark.parametrize("kind", ["full", "half"])
@torch.inference_mode()
def test_long_sounds_equal_the_originals(case: Case, kind: str) -> None:
    expected = case.outputs[f"sliding_window_W2_top1_{kind}"]
    tokens, rows, context = expected["tokens_time_major"], case.prior.config.rows, case.prior.config.columns
    columns, columns_given = tokens.shape[1] // rows, 0 if kind == "full" else context // 2
    given = case.outputs["tokens"][:, : columns_given * rows]
    written = case.greedy(centres(columns, context, given=columns_given), given)
    assert torch.equal(written, tokens)
    picture = case.codec.decode(case.codec.quantizer.lookup(unflatten(written, rows)))
    assert list(picture.shape) == expected["image_shape"]
    assert torch.allclose(picture[..., -64:], expected["image_last_64_columns"], **CLOSE)
    assert [float(picture.mean()), float(picture.std())] == pytest.approx(expected["image_stats"], abs=1e-5)


@torch.inference_mode()
def test_features_and_class_together_equal_the_originals(golden: Path) -> None:
    content = torch.load(golden / "specvqgan_gpt_feats_class.pt", weights_only=True)
    state, config, expected = content["checkpoint"], content["config"], content["outputs"]
    prior = Prior(gpt.config_of_original(state, heads=config["gpt"]["n_head"])).eval()
    prior.load_state_dict(gpt.from_original(state), strict=True)
    assert len(prior.config.labels) == config["classes"]
    assert prior.conditioning.length == config["feat_len"] + 1
    tokens, target = content["inputs"]["tokens"], content["inputs"]["target"]
    features = content["inputs"]["feature"].mT
    logits = prior(tokens[:, :-1], target[:, 0], features)
    assert torch.allclose(logits, expected["logits"], **CLOSE)
    loss = F.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    assert float(loss) == pytest.approx(float(expected["loss"]), rel=1e-5, abs=1e-6)
    everything = prior.gpt(tokens[:1, :-1], prior.prefix(target[:1, 0], features[:1]))
    assert torch.allclose(everything, expected["logits_all"][:, prior.conditioning.length - 1 :], **CLOSE)


@torch.inference_mode()
def test_no_video_is_what_a_frame_of_zeros_gives(golden: Path) -> None:
    content = torch.load(golden / "specvqgan_gpt_feats_class.pt", weights_only=True)
    state, heads = content["checkpoint"], content["config"]["gpt"]["n_head"]
    prior = Prior(gpt.config_of_original(state, heads=heads)).eval()
    prior.load_state_dict(gpt.from_original(state), strict=True)
    zeros = prior.prefix(torch.tensor([2]), torch.zeros_like(content["inputs"]["feature"].mT[:1]))
    assert torch.allclose(prior.prefix(torch.tensor([2])), zeros)


def test_the_order_equals_the_originals(golden: Path) -> None:
    stored = torch.load(golden / "permuter_column_major.pt", weights_only=True)["outputs"]
    assert stored
    for size, tables in stored.items():
        rows, columns = map(int, size.split("x"))
        for width, name in ((columns, ""), (2 * columns, "_width_x2")):
            grid = torch.arange(rows * width).reshape(1, rows, width)
            assert torch.equal(flatten(grid), tables[f"forward_of_arange{name}"]), size
            read = torch.arange(rows * width)[None]
            assert torch.equal(unflatten(read, rows).flatten(1), tables[f"backward_of_arange{name}"]), size
        state = {
            "first_stage_permuter.forward_shuffle_idx": tables["forward_idx"],
            "first_stage_permuter.backward_shuffle_idx": tables["backward_idx"],
        }
        assert net2net.grid_size(state) == (rows, columns)


def test_what_does_not_fit_is_refused(case: Case) -> None:
    heads = case.config["gpt"]["n_head"]
    table = "first_stage_permuter.forward_shuffle_idx"
    turned = {**case.state, table: case.state[table].flip(0)}
    for change in (net2net.from_original, lambda s: net2net.config_of_original(s, heads=heads)):
        with pytest.raises(UserError, match="reads its grid in another order"):
            change(turned)
    with pytest.raises(UserError, match="it has no part 'cond_stage_model.extra'"):
        net2net.from_original({**case.state, "cond_stage_model.extra": torch.zeros(1)})
    with pytest.raises(UserError, match=r"it lacks first_stage_permuter\.backward"):
        net2net.grid_size({table: case.state[table]})
    with pytest.raises(UserError, match="labels were given"):
        net2net.config_of_original(case.state, heads=heads, labels=["dog", "cat"])
    if case.features is not None:
        with pytest.raises(UserError, match="behind a video"):
            gpt.config_of_original(case.state, heads=heads, columns=96)
