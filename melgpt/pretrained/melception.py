"""The originals' Melception file (`{"model": state dict, …}`) → `evaluation.melception`.

Their file has an auxiliary classifier that only its training used; it is left out.
"""

import re

from torch import Tensor

from melgpt import registry
from melgpt.config import KindConfig
from melgpt.errors import UserError
from melgpt.pretrained.band_statistics import BandStatistics
from melgpt.types import MelScale

_DROPPED = re.compile(r"AuxLogits\.(?:conv[01]\.(?:conv|bn)|fc)\.\w+")
_STAGES = {
    "Conv2d_1a_3x3": "64.0",
    "Conv2d_2a_3x3": "64.1",
    "Conv2d_2b_3x3": "64.2",
    "Conv2d_3b_1x1": "192.0",
    "Conv2d_4a_3x3": "192.1",
    **{
        f"Mixed_{name}": f"768.{i}" for i, name in enumerate(("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e"))
    },
    **{f"Mixed_{name}": f"2048.{i}" for i, name in enumerate(("7a", "7b", "7c"))},
}
_BRANCHES = {
    "branch1x1": 0,
    "branch3x3": 0,
    "branch5x5": 1,
    "branch7x7": 1,
    "branch7x7x3": 1,
    "branch3x3dbl": 2,
    "branch7x7dbl": 2,
    "branch_pool": 3,
}
# Blocks without a 1x1 branch number the others from 0; a 3x3 beside a 1x1 is the second.
_OTHER_BRANCHES = {
    ("Mixed_6a", "branch3x3dbl"): 1,
    ("Mixed_7b", "branch3x3"): 1,
    ("Mixed_7c", "branch3x3"): 1,
}
_KEY = re.compile(r"(\w+?)\.(?:(branch(?:_pool|\dx\d(?:x3|dbl)?))(?:_(\d)([ab])?)?\.)?(conv|bn)\.(\w+)")


def from_original(state: dict[str, Tensor], *, statistics: BandStatistics) -> dict[str, Tensor]:
    """State dict of `Melception` from the originals' (the content of `model` in their file).

    statistics: of the training set, which their file does not hold but needs.
    Raises UserError for a key that Melception does not have.
    """
    ours = {_rename(key): tensor for key, tensor in state.items() if not _DROPPED.fullmatch(key)}
    return {"mean": statistics.mean, "std": statistics.std, **ours}


def config_of_original(state: dict[str, Tensor], scale: MelScale | None = None) -> KindConfig:
    """Number of classes as the file tells it; the mel scale, which no file tells, is theirs by default."""
    if "fc.weight" not in state:
        raise UserError("not a Melception of the originals: it has no layer 'fc'")
    mel = (scale or MelScale()).plain()
    # By its name, since the network stands on a floor above this one.
    return registry.configure(
        "classifier", {"kind": "melception", "mel": mel, "classes": len(state["fc.weight"])}
    )


def _rename(key: str) -> str:
    if key in ("fc.weight", "fc.bias"):
        return key.replace("fc", "head")
    match = _KEY.fullmatch(key)
    if match is None or match[1] not in _STAGES:
        raise UserError(f"not a Melception of the originals: it has no part '{key}'")
    block, branch, layer, fork, part, name = match.groups()
    path = ["stages", _STAGES[block]]
    if branch is not None:
        path += ["branches", str(_OTHER_BRANCHES.get((block, branch), _BRANCHES[branch]))]
        # The convolution behind a pool is the second of its branch, the pool itself has no weights.
        path.append("1" if branch == "branch_pool" else str(int(layer or 1) - 1))
    if fork is not None:
        path += ["branches", str("ab".index(fork))]
    return ".".join([*path, "norm" if part == "bn" else "conv", name])
