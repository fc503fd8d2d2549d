"""Files of the originals made here from a prior of our own: importing them gives its weights back."""

import re

import pytest
import torch
from torch import Tensor

from melgpt.errors import UserError
from melgpt.gpt.order import flatten, unflatten
from melgpt.gpt.prior import Prior, PriorConfig
from melgpt.nn.transformer import BlockConfig
from melgpt.pretrained import gpt, net2net

ROWS, COLUMNS, CODES, FRAMES, DEPTH = 2, 6, 7, 3, 4
VIDEO = {"drop": 0.0, "frames": FRAMES, "depth": DEPTH, "span": 4 * COLUMNS, "skip": 1}
CONDITIONS = {
    "class_label": {"kind": "class_label", "drop": 0.0},
    "frames": {"kind": "frames", **VIDEO},
    "frames_class": {"kind": "frames_class", **VIDEO},
}
NAMES = (
    (r"^gpt\.tokens\.", "tok_emb."),
    (r"^gpt\.norm\.", "ln_f."),
    (r"^gpt\.head\.", "head."),
    (r"^gpt\.blocks\.(\d+)\.norm([12])\.", r"blocks.\1.ln\2."),
    (r"^gpt\.blocks\.(\d+)\.attention\.project\.", r"blocks.\1.attn.proj."),
    (r"^gpt\.blocks\.(\d+)\.feed_forward\.inward\.", r"blocks.\1.mlp.0."),
    (r"^gpt\.blocks\.(\d+)\.feed_forward\.outward\.", r"blocks.\1.mlp.2."),
)


def made(kind: str) -> Prior:
    """A prior as an import makes one: no class is the mean of the classes, no video a frame of zeros."""
    labels = () if kind == "frames" else ("0", "1", "2")
    blocks = BlockConfig.seed(layers=2, width=8, heads=2, dropout=0.5)
    sizes = {"rows": ROWS, "columns": COLUMNS, "codebook": CODES, "labels": labels}
    plain = {"blocks": blocks.plain(), "row_aware": False, "ends": False}
    prior = Prior(PriorConfig.parse({"conditioning": CONDITIONS[kind], **sizes, **plain})).eval()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.normal_()
        if kind != "frames":
            classes = prior.conditioning.embedding.weight
            classes[-1] = classes[:-1].mean(0)
        if kind != "class_label":
            prior.conditioning.no_frame.copy_(prior.conditioning.embed.bias)
    return prior


def as_original(prior: Prior, kind: str) -> dict[str, Tensor]:
    """The state dict under the originals' names."""
    classes, frames = {
        "class_label": ("embedder", ""),
        "frames": ("", "embedder"),
        "frames_class": ("cls_embedder", "feat_embedder"),
    }[kind]
    state = {}
    for key, tensor in prior.state_dict().items():
        if match := re.match(r"gpt\.blocks\.(\d+)\.attention\.qkv\.(\w+)", key):
            for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                state[f"blocks.{match[1]}.attn.{part}.{match[2]}"] = third
        elif key == "gpt.positions":
            state["pos_emb"] = tensor[None]
        elif key == "conditioning.embedding.weight":
            state[f"{classes}.weight"] = tensor[:-1]
        elif key.startswith("conditioning.embed."):
            last = key.rpartition(".")[2]
            state[f"{frames}.{last}"] = tensor[..., None] if last == "weight" else tensor
        elif key != "conditioning.no_frame":
            for ours, theirs in NAMES:
                key = re.sub(ours, theirs, key)
            state[key] = tensor
    length = prior.gpt.context
    masks = {f"blocks.{i}.attn.mask": torch.ones(1, 1, length, length).tril() for i in range(2)}
    return {f"transformer.{key}": tensor for key, tensor in (state | masks).items()}


def order() -> dict[str, Tensor]:
    places = torch.arange(ROWS * COLUMNS)
    return {
        "first_stage_permuter.forward_shuffle_idx": flatten(places.reshape(1, ROWS, COLUMNS))[0],
        "first_stage_permuter.backward_shuffle_idx": unflatten(places[None], ROWS).flatten(),
    }


@pytest.mark.parametrize("kind", CONDITIONS)
def test_an_import_gives_the_weights_and_sizes_back(kind: str) -> None:
    prior = made(kind)
    state = as_original(prior, kind)
    config = gpt.config_of_original(state, heads=2, rows=ROWS, columns=COLUMNS)
    assert config == prior.config
    again = Prior(config).eval()
    again.load_state_dict(gpt.from_original(state), strict=True)
    ours = prior.state_dict()
    assert all(torch.allclose(tensor, ours[key]) for key, tensor in again.state_dict().items())


def test_a_linear_layer_over_the_frames_is_the_same_as_a_convolution() -> None:
    state = as_original(made("frames"), "frames")
    linear = {k: t[..., 0] if k == "transformer.embedder.weight" else t for k, t in state.items()}
    sizes = {"heads": 2, "rows": ROWS, "columns": COLUMNS}
    assert gpt.config_of_original(linear, **sizes) == gpt.config_of_original(state, **sizes)
    one, other = gpt.from_original(linear), gpt.from_original(state)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_wider_kernel_and_a_grid_that_does_not_fit_are_refused() -> None:
    state = as_original(made("frames"), "frames")
    weight = state["transformer.embedder.weight"]
    with pytest.raises(UserError, match="a kernel of 3"):
        gpt.from_original({**state, "transformer.embedder.weight": weight.expand(-1, -1, 3)})
    with pytest.raises(UserError, match="behind a video"):
        gpt.config_of_original(state, heads=2, rows=ROWS, columns=COLUMNS + 2)


def test_the_tables_of_the_order_tell_the_grid() -> None:
    assert net2net.grid_size(order()) == (ROWS, COLUMNS)


@pytest.mark.parametrize("table", ["forward", "backward"])
@pytest.mark.parametrize(
    "change", [lambda t: t.flip(0), lambda t: t[:-1], torch.zeros_like, lambda t: t + 40]
)
def test_another_order_is_refused(table: str, change: object) -> None:
    name = f"first_stage_permuter.{table}_shuffle_idx"
    with pytest.raises(UserError, match="another order"):
        net2net.grid_size({**order(), name: change(order()[name])})


def test_an_unknown_part_is_refused() -> None:
    state = as_original(made("frames"), "frames") | order()
    with pytest.raises(UserError, match="it has no part 'first_stage_permuter.extra'"):
        net2net.from_original({**state, "first_stage_permuter.extra": torch.zeros(1)})
    with pytest.raises(UserError, match="not a codec of the originals"):
        net2net.from_original(state)
