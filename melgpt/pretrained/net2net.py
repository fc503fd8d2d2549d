"""The originals' Net2NetTransformer: codec, reading order and GPT in one state dict → our codec and prior.

`first_stage_model.` is the codec, `transformer.` the GPT. `first_stage_permuter.` holds the order in which
the grid is read as two index tables: they must say what `gpt.order` does, tell the size of the grid, and are
left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from melgpt.codec.codec import CodecConfig
from melgpt.errors import UserError
from melgpt.gpt.order import flatten, unflatten
from melgpt.gpt.prior import PriorConfig
from melgpt.pretrained import codec, gpt
from melgpt.types import MelScale

_PARTS = ("first_stage_model.", "first_stage_permuter.", "transformer.")
_FORWARD, _BACKWARD = (f"first_stage_permuter.{way}_shuffle_idx" for way in ("forward", "backward"))


@dataclass(frozen=True)
class Weights:
    """State dicts of our parts."""

    codec: dict[str, Tensor]
    prior: dict[str, Tensor]


@dataclass(frozen=True)
class Configs:
    """Configurations of our parts."""

    codec: CodecConfig
    prior: PriorConfig


def from_original(state: dict[str, Tensor]) -> Weights:
    """State dicts of `Codec` and `Prior`. Raises UserError for a key or an order that this version lacks."""
    grid_size(state)
    for key in state:
        if not key.startswith(_PARTS) or (key.startswith(_PARTS[1]) and key not in (_FORWARD, _BACKWARD)):
            raise UserError(f"not a Net2NetTransformer of the originals: it has no part '{key}'")
    return Weights(codec.from_original(state), gpt.from_original(state))


def config_of_original(
    state: dict[str, Tensor],
    *,
    heads: int,
    labels: Sequence[str] | None = None,
    dropout: float = 0.5,
    scale: MelScale | None = None,
) -> Configs:
    """Sizes; heads, labels and dropout as in `pretrained.gpt`, scale as in `pretrained.codec`."""
    rows, columns = grid_size(state)
    prior = gpt.config_of_original(
        state, heads=heads, rows=rows, columns=columns, labels=labels, dropout=dropout
    )
    if prior.columns != columns:
        raise UserError(
            f"this Net2NetTransformer of the originals reads {columns} columns, its GPT {prior.columns}"
        )
    return Configs(codec.config_of_original(state, scale), prior)


def grid_size(state: dict[str, Tensor]) -> tuple[int, int]:
    """Rows H and columns W that the index tables tell. Raises UserError where their order is not ours."""
    missing = [key for key in (_FORWARD, _BACKWARD) if key not in state]
    if missing:
        raise UserError(f"not a Net2NetTransformer of the originals: it lacks {', '.join(missing)}")
    forward, backward = state[_FORWARD], state[_BACKWARD]
    # The second token stands in the row above the first one: W places on, row by row.
    columns = max(int(forward[1]), 1) if len(forward) > 1 else 1
    rows = max(len(forward) // columns, 1)
    places = torch.arange(rows * columns)
    if not (
        torch.equal(forward, flatten(places.reshape(1, rows, columns))[0])
        and torch.equal(backward, unflatten(places[None], rows).flatten())
    ):
        raise UserError("this Net2NetTransformer of the originals reads its grid in another order than ours")
    return rows, columns
