"""The originals' MelGAN generator file (`best_netG.pt`, a plain state dict) → `vocoders.melgan`.

Their layers are numbered in one long row: the first convolution, then a stage's upsampling followed by its
residual blocks, again and again, and the last convolution.
"""

import re

from torch import Tensor

from melgpt.errors import UserError
from melgpt.types import MelScale
from melgpt.vocoders.melgan import MelGANConfig

_PARTS = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
_BLOCK = {"block.2": "wide", "block.4": "point", "shortcut": "shortcut"}
_KEY = re.compile(r"model\.(\d+)\.(?:(block\.\d+|shortcut)\.)?(weight_g|weight_v|bias)")


def from_original(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State dict of `MelGAN` from the originals': each 1-D kernel gains a height of 1.

    Raises UserError for a key that such a generator does not have.
    """
    layers = _layers(state)
    return {_rename(key, layers): _raise(key, tensor) for key, tensor in state.items()}


def config_of_original(state: dict[str, Tensor], scale: MelScale | None = None) -> MelGANConfig:
    """Sizes that the originals' file tells by itself; the rest of the mel scale is theirs unless given."""
    layers = _layers(state)
    ups = [i for i, name in layers.items() if name.endswith(".up")]
    first, last = min(layers), max(layers)
    ratios = tuple(state[f"model.{i}.weight_v"].shape[-1] // 2 for i in ups)
    blocks = sum(name.startswith("stages.0.blocks.") for name in layers.values())
    mel = scale or MelScale(n_mels=state[f"model.{first}.weight_v"].shape[1])
    ngf = state[f"model.{last}.weight_v"].shape[1]
    return MelGANConfig.parse({"mel": mel, "ngf": ngf, "ratios": ratios, "residual_blocks": blocks})


def _layers(state: dict[str, Tensor]) -> dict[int, str]:
    """Number of each layer in their row → its name here."""
    is_block: dict[int, bool] = {}
    for key in state:
        match = _KEY.fullmatch(key)
        if match is None or (match[2] is not None and match[2] not in _BLOCK):
            raise UserError(f"not a MelGAN generator of the originals: it has no part '{key}'")
        is_block[int(match[1])] = match[2] is not None
    numbers = sorted(is_block)
    names, stage, block = {}, -1, 0
    for number in numbers[1:-1]:
        if is_block[number]:
            names[number], block = f"stages.{stage}.blocks.{block}", block + 1
        else:
            stage, block = stage + 1, 0
            names[number] = f"stages.{stage}.up"
    if stage < 0:
        raise UserError("not a MelGAN generator of the originals: it has no upsampling")
    return {numbers[0]: "first", **names, numbers[-1]: "last"}


def _rename(key: str, layers: dict[int, str]) -> str:
    match = _KEY.fullmatch(key)
    assert match is not None
    number, inner, part = match.groups()
    path = [layers[int(number)], *([_BLOCK[inner]] if inner else []), _PARTS.get(part, part)]
    return ".".join(path)


def _raise(key: str, tensor: Tensor) -> Tensor:
    return tensor if key.endswith("bias") else tensor.unsqueeze(2)
