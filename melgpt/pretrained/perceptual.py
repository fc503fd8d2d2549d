"""The originals' perceptual networks → `losses.perceptual`.

A SpecVQGAN codec file holds the whole of it under `loss.perceptual_loss.`: the network that its codec was
trained with. In the published ones it is random, since the originals' loader found nothing in the file of
trained weights and did not say so. That file (`vggishish16.pt`, a classifier of the same layers,
`{"model": state dict, …}`) has no weights of the channels, which then count the same.
"""

import re

import torch
from torch import Tensor

from melgpt.errors import UserError
from melgpt.losses.perceptual import PerceptualConfig, as_shift_and_spread
from melgpt.pretrained.band_statistics import BandStatistics
from melgpt.types import MelScale

_INSIDE = re.compile(r"(?:loss\.)?perceptual_loss\.(.+)")
_CODEC = re.compile(r"(?:encoder|decoder|quantize|quant_conv|post_quant_conv|(?:loss\.)?discriminator)\.")
_LAYER = re.compile(r"net\.slice\d\.(\d+)\.(weight|bias)")
_CHANNELS = re.compile(r"lin(\d)\.model\.1\.weight")
_STATISTICS = {"scaling_layer.shift": "shift", "scaling_layer.scale": "spread"}
_VGGISH = re.compile(r"features\.(\d+)\.(weight|bias)")
_CLASSIFIER = re.compile(r"classifier\.\d+\.(?:weight|bias)")


def from_original(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State dict of `Perceptual` from a SpecVQGAN codec's; encoder, decoder and discriminator are left out.

    Raises UserError for a file without a perceptual loss and for a key that none has.
    """
    inside = {match[1]: tensor for key, tensor in state.items() if (match := _INSIDE.fullmatch(key))}
    for key in state:
        if not _INSIDE.fullmatch(key) and not _CODEC.match(key):
            raise UserError(f"not a SpecVQGAN codec of the originals: it has no part '{key}'")
    if not inside:
        raise UserError(
            "this codec file of the originals holds no perceptual loss; one of SpecVQGAN's own codecs does"
        )
    places = _places([int(match[1]) for key in inside if (match := _LAYER.fullmatch(key))])
    return {_rename(key, places): _flat(key, tensor) for key, tensor in inside.items()}


def from_classifier(state: dict[str, Tensor], *, statistics: BandStatistics) -> dict[str, Tensor]:
    """State dict of `Perceptual` from the VGG-like classifier's (the content of `model` in its file).

    statistics: of the training set, which the file does not hold. Every channel counts the same, as in
    Zhang et al.'s uncalibrated distance. Raises UserError for a key that such a classifier does not have.
    """
    for key in state:
        if not _VGGISH.fullmatch(key) and not _CLASSIFIER.fullmatch(key):
            raise UserError(f"not a VGG-like classifier of the originals: it has no part '{key}'")
    layers = {match: tensor for key, tensor in state.items() if (match := _VGGISH.fullmatch(key))}
    if not layers:
        raise UserError("not a VGG-like classifier of the originals: it has no 'features'")
    places = _places([int(match[1]) for match in layers])
    ours = {f"stages.{places[int(match[1])]}.{match[2]}": tensor for match, tensor in layers.items()}
    shift, spread = as_shift_and_spread(statistics.mean, statistics.std)
    config = _config(ours, MelScale(n_mels=len(shift)))
    weights = {f"weights.{i}": torch.ones(width) for i, width in enumerate(config.channels)}
    return {"shift": shift, "spread": spread, **ours, **weights}


def config_of_original(state: dict[str, Tensor], scale: MelScale | None = None) -> PerceptualConfig:
    """Sizes that a SpecVQGAN codec's file tells; the mel scale, which none tells, is theirs by default."""
    ours = from_original(state)
    return _config(ours, scale or MelScale(n_mels=len(ours["shift"]) if "shift" in ours else 80))


def config_of_classifier(state: dict[str, Tensor], scale: MelScale | None = None) -> PerceptualConfig:
    """Sizes that the VGG-like classifier's state dict tells."""
    scale = scale or MelScale()
    return _config(from_classifier(state, statistics=BandStatistics.identity(scale.n_mels)), scale)


def _config(ours: dict[str, Tensor], scale: MelScale) -> PerceptualConfig:
    kernels = {key: tensor for key, tensor in ours.items() if re.fullmatch(r"stages\.\d+\.\d+\.weight", key)}
    stages = sorted({int(key.split(".")[1]) for key in kernels})
    return PerceptualConfig(
        mel=scale,
        channels=tuple(len(kernels[f"stages.{stage}.0.weight"]) for stage in stages),
        convolutions=tuple(sum(key.startswith(f"stages.{stage}.") for key in kernels) for stage in stages),
    )


def _places(numbers: list[int]) -> dict[int, str]:
    """Number of each convolution in VGG's long row → its stage and place; a pool parts two stages."""
    places, stage, first = {}, -1, 0
    for number in sorted(set(numbers)):
        if stage < 0 or number - 2 not in numbers:
            stage, first = stage + 1, number
        places[number] = f"{stage}.{number - first}"
    return places


def _rename(key: str, places: dict[int, str]) -> str:
    if key in _STATISTICS:
        return _STATISTICS[key]
    if match := _CHANNELS.fullmatch(key):
        return f"weights.{match[1]}"
    if match := _LAYER.fullmatch(key):
        return f"stages.{places[int(match[1])]}.{match[2]}"
    raise UserError(f"not a perceptual loss of the originals: it has no part '{key}'")


def _flat(key: str, tensor: Tensor) -> Tensor:
    """In their file statistics are [1, 1, F, 1] and weights of channels [1, C, 1, 1]; here [F] and [C]."""
    return tensor.flatten() if key in _STATISTICS or _CHANNELS.fullmatch(key) else tensor
