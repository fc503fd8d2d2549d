"""The published Vocos of mels (`pytorch_model.bin` of vocos-mel, a plain state dict) → `vocoders.istft`."""

import torch
from torch import Tensor

from melgpt.audio.mel import mel_filterbank
from melgpt.errors import UserError
from melgpt.types import MelScale
from melgpt.vocoders.istft import ISTFTConfig

PRESET = "vocos"
PREFIX = "feature_extractor."
"""What its own features are made with: checked where it is there, and left out."""
_BANK = f"{PREFIX}mel_spec.mel_scale.fb"
_KERNELS = ("backbone.embed.weight", ".dwconv.weight")


def from_original(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State dict of `ISTFTVocoder`: the names are theirs, each 1-D kernel gains a width of 1."""
    return {
        key: tensor.unsqueeze(3) if key.endswith(_KERNELS) else tensor
        for key, tensor in state.items()
        if not key.startswith(PREFIX)
    }


def config_of_original(state: dict[str, Tensor], scale: MelScale | None = None) -> ISTFTConfig:
    """Sizes that the file tells by itself; the mel scale is the published one unless given.

    The padding is `center`, as that of the published one; no file tells it. Raises UserError where the file's
    own filters are not those of the scale.
    """
    width, bands, _ = state["backbone.embed.weight"].shape
    n_fft = len(state["head.istft.window"])
    mel = (scale or MelScale.preset(PRESET)).changed(n_mels=bands, n_fft=n_fft)
    if _BANK in state and not _equal(state[_BANK].T, mel_filterbank(mel)):
        raise UserError(f"the filters in the file are not those of {mel!r}: give --mel")
    layers = sum(key.endswith(".dwconv.weight") for key in state)
    hidden = state["backbone.convnext.0.pwconv1.weight"].shape[0]
    return ISTFTConfig(mel=mel, width=width, hidden=hidden, layers=layers, skip=False, fit=0, refine=0)


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-3)
