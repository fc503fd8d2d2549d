"""The originals' GPT (Lit_minGPT; SpecVQGAN's GPTClass, GPTFeats, GPTFeatsClass), a state dict → `gpt.prior`.

Their query, key and value are layers of their own, ours are one. Their vocabulary has no end of the sound and
they know no "no class" and "no video", which guidance can start from: the one becomes the mean of the
classes, the other what a frame of zeros gives, as they stand behind the end of a video.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from melgpt import registry
from melgpt.errors import UserError
from melgpt.gpt.prior import PriorConfig
from melgpt.nn.transformer import BlockConfig

_INSIDE = "transformer."
_MASK = re.compile(r"blocks\.\d+\.attn\.mask")
_QUERY = re.compile(r"(blocks\.\d+\.attn\.)query\.(weight|bias)")
_KEY_OR_VALUE = re.compile(r"blocks\.\d+\.attn\.(key|value)\.(weight|bias)")
_CLASSES, _FRAMES = ("cls_embedder", "embedder"), ("feat_embedder", "embedder")
_RULES = [
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"^tok_emb\.", "gpt.tokens."),
        (r"^pos_emb$", "gpt.positions"),
        (r"^ln_f\.", "gpt.norm."),
        (r"^head\.", "gpt.head."),
        (r"^blocks\.(\d+)\.ln([12])\.", r"gpt.blocks.\1.norm\2."),
        (r"^blocks\.(\d+)\.attn\.query\.", r"gpt.blocks.\1.attention.qkv."),
        (r"^blocks\.(\d+)\.attn\.proj\.", r"gpt.blocks.\1.attention.project."),
        (r"^blocks\.(\d+)\.mlp\.0\.", r"gpt.blocks.\1.feed_forward.inward."),
        (r"^blocks\.(\d+)\.mlp\.2\.", r"gpt.blocks.\1.feed_forward.outward."),
    )
]


def from_original(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State dict of `Prior` from the originals'; masks are checked and left out.

    Raises UserError for a key that such a GPT does not have, and for one that does not look back only.
    """
    return transformer_of_original(_transformer_of(state), causal=True)


def transformer_of_original(state: dict[str, Tensor], *, causal: bool) -> dict[str, Tensor]:
    """Any one of their transformers, without what stands before its keys; our names begin with `gpt.`.

    Raises UserError for an unknown key, and for masks that are not causal (or, if not `causal`, not open).
    """
    ours: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if _MASK.fullmatch(key):
            _check_mask(key, tensor, causal)
        elif not _KEY_OR_VALUE.fullmatch(key) and not _is_embedder(key):
            ours[_rename(key)] = _convert(key, tensor, state)
    if (classes := _classes(state)) is not None:
        ours["conditioning.embedding.weight"] = torch.cat([classes, classes.mean(0, keepdim=True)])
    if (frames := _frames(state)) is not None:
        weight, bias = frames
        ours |= {"conditioning.embed.weight": weight, "conditioning.embed.bias": bias}
        ours["conditioning.no_frame"] = bias.clone()
    return ours


def config_of_original(
    state: dict[str, Tensor],
    *,
    heads: int,
    rows: int = 5,
    columns: int = 53,
    labels: Sequence[str] | None = None,
    dropout: float = 0.5,
) -> PriorConfig:
    """Sizes that the originals' file tells by itself, with those that it does not.

    heads: attention heads; rows: rows H of the codec's grid; columns: its columns W, looked at only where the
    GPT sees a video, since the others tell it; labels: names in the order of the class numbers, the numbers
    themselves if not given; dropout: for training on. Raises UserError where these do not fit.
    """
    state = _transformer_of(state)
    codebook, width = state["tok_emb.weight"].shape
    known = _classes(state)
    classes = 0 if known is None else len(known)
    names = tuple(labels) if labels is not None else tuple(str(i) for i in range(classes))
    if len(names) != classes:
        raise UserError(f"this GPT of the originals knows {classes} classes, {len(names)} labels were given")
    length = state["pos_emb"].shape[1] - (classes > 0)
    frames = _frames(state)
    seen = length - rows * columns if frames is not None else 0
    if (frames is not None and seen < 1) or (length - seen) % rows:
        raise UserError(
            f"the {length} tokens of this GPT of the originals are not whole columns of {rows} rows"
            + (f", {columns} of them behind a video" if frames is not None else "")
        )
    layers = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    blocks = BlockConfig.seed(layers=layers, width=width, heads=heads, dropout=dropout)
    # The originals never hide a condition, so that guidance has nothing to stand on.
    conditioning: dict[str, object] = {"kind": "class_label", "drop": 0.0}
    if frames is not None:
        kind = "frames_class" if classes else "frames"
        # Of 215 frames at 21.5 a second they keep the middle 212, as many as their 9.85 s of sound last.
        video = {"span": 4 * columns, "skip": 1, "depth": frames[0].shape[1]}
        conditioning = {"kind": kind, "frames": seen, "drop": 0.0, **video}
    return PriorConfig(
        blocks=blocks,
        conditioning=registry.configure("conditioning", conditioning),
        row_aware=False,
        ends=False,
        labels=names,
        codebook=codebook,
        rows=rows,
        columns=(length - seen) // rows,
    )


def _transformer_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    inside = {k.removeprefix(_INSIDE): tensor for k, tensor in state.items() if k.startswith(_INSIDE)}
    state = inside or state
    embedder = "feat_embedder.weight" if "cls_embedder.weight" in state else "embedder.weight"
    missing = [key for key in ("tok_emb.weight", "pos_emb", embedder) if key not in state]
    if missing:
        raise UserError(f"not a GPT of the originals that this version reads: it lacks {', '.join(missing)}")
    return state


def _is_embedder(key: str) -> bool:
    part, _, name = key.rpartition(".")
    return part in {*_CLASSES, *_FRAMES} and name in ("weight", "bias")


def _classes(state: dict[str, Tensor]) -> Tensor | None:
    """A vector for each class [classes, C]; None where the GPT knows no classes."""
    if "embedder.bias" in state:
        return None
    return next((state[f"{part}.weight"] for part in _CLASSES if f"{part}.weight" in state), None)


def _frames(state: dict[str, Tensor]) -> tuple[Tensor, Tensor] | None:
    """Weight [C, D] and bias [C] of the layer over the frames of a video; None where the GPT sees none.

    It is a convolution of kernel 1 or, the same in other words, a linear layer.
    """
    for part in _FRAMES:
        if f"{part}.bias" in state:
            weight = state[f"{part}.weight"]
            if weight.ndim == 3 and weight.shape[-1] != 1:
                raise UserError(f"this GPT of the originals has {part} with a kernel of {weight.shape[-1]}")
            return weight.flatten(1), state[f"{part}.bias"]
    return None


def _check_mask(key: str, mask: Tensor, causal: bool) -> None:
    """The originals store which positions see which: in ours those before, or all (a VAE's encoder)."""
    everything = torch.ones_like(mask)
    if not torch.equal(mask, everything.tril() if causal else everything):
        wrong = "also looks ahead" if causal else "does not see all positions"
        raise UserError(f"this GPT of the originals {wrong} ({key}), which this part cannot")


def _rename(key: str) -> str:
    for pattern, ours in _RULES:
        name, found = pattern.subn(ours, key)
        if found:
            return name
    raise UserError(f"not a GPT of the originals that this version reads: it has no part '{key}'")


def _convert(key: str, tensor: Tensor, state: dict[str, Tensor]) -> Tensor:
    if match := _QUERY.fullmatch(key):
        return torch.cat([state[f"{match[1]}{part}.{match[2]}"] for part in ("query", "key", "value")])
    if key == "pos_emb":
        return tensor[0]
    return tensor
