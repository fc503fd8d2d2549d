"""The originals' codec (LitVQVAE, SpecVQGAN's VQModel) as a state dict → `codec.codec` and its discriminator.

Both name the same layers, one with a leading underscore; files of transformers hold the codec under
`first_stage_model.`. Their decoder numbers its levels from fine to coarse, ours in the order of work.
"""

import re

from torch import Tensor

from melgpt.codec.codec import CodecConfig
from melgpt.codec.discriminator import DiscriminatorConfig
from melgpt.errors import UserError
from melgpt.types import MelScale

_INSIDE = "first_stage_model."
_DISCRIMINATOR = re.compile(r"(?:(?:loss\.)?discriminator\.)?main\.(.+)")
_DROPPED = re.compile(r"(?:loss\.)?(?:discriminator|perceptual_loss)\.")
_RULES = [
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"^_?(encoder|decoder)\.", r"\1."),
        (r"^(?:_vq_vae\._embedding|quantize\.embedding)\.", "quantizer.codebook."),
        (r"^quant_conv\.", "before."),
        (r"^post_quant_conv\.", "after."),
        (r"\.down\.(\d+)\.", r".levels.\1."),
        (r"\.block\.(\d+)\.", r".blocks.\1."),
        (r"\.attn\.(\d+)\.", r".attentions.\1."),
        (r"\.mid\.block_1\.", ".middle.0."),
        (r"\.mid\.attn_1\.", ".middle.1."),
        (r"\.mid\.block_2\.", ".middle.2."),
        (r"\.nin_shortcut\.", ".shortcut."),
        (r"\.q\.", ".query."),
        (r"\.k\.", ".key."),
        (r"\.v\.", ".value."),
        (r"\.proj_out\.", ".project."),
    )
]
_UP = re.compile(r"^decoder\.up\.(\d+)\.")
_OURS = re.compile(r"^(encoder|decoder|quantizer|before|after)\.")


def from_original(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State dict of `Codec` from the originals'; discriminator and perceptual loss are left out.

    Raises UserError for a key that such a codec does not have.
    """
    state = _codec_of(state)
    levels = _count(state, r"_?encoder\.down\.(\d+)\.")
    return {_rename(key, levels): tensor for key, tensor in state.items() if not _DROPPED.match(key)}


def dropped_keys(state: dict[str, Tensor]) -> list[str]:
    """Keys of discriminator and perceptual loss, which `from_original` leaves out."""
    return [key for key in state if _DROPPED.match(key.removeprefix(_INSIDE))]


def config_of_original(state: dict[str, Tensor], scale: MelScale | None = None) -> CodecConfig:
    """Sizes that the file tells by itself; the mel scale, which no file tells, is theirs by default."""
    ours = from_original(state)
    levels, blocks = (
        _count(ours, r"encoder\.levels\.(\d+)\."),
        _count(ours, r"encoder\.levels\.0\.blocks\.(\d+)\."),
    )
    channels = ours["encoder.conv_in.weight"].shape[0]
    widths = [ours[f"encoder.levels.{i}.blocks.0.conv1.weight"].shape[0] for i in range(levels)]
    codes, dim = ours["quantizer.codebook.weight"].shape
    network = {
        "channels": channels,
        "multipliers": [width // channels for width in widths],
        "residual_blocks": blocks,
        "attention_levels": [
            i for i in range(levels) if f"encoder.levels.{i}.attentions.0.norm.weight" in ours
        ],
        "middle_attention": "encoder.middle.1.norm.weight" in ours,
        "latent": ours["encoder.conv_out.weight"].shape[0],
        "narrowest_group": 1,
        "strides": [[2, 2]] * (levels - 1),
    }
    # SpecVQGAN has the 0.25 on the codebook's term, the others on the encoder's: one number, two gradients.
    pulls = {"commitment": 1.0, "codebook_weight": 0.25} if _is_specvqgan(state) else {"commitment": 0.25}
    quantizer = {"kind": "vq", "codes": codes, "dim": dim, **pulls}
    mel = (scale or MelScale()).plain()
    return CodecConfig.parse({"mel": mel, "network": network, "quantizer": quantizer})


def discriminator_from_original(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State dict of `Discriminator` from the originals' codec, or from its own; empty where there is none."""
    matches = {key: _DISCRIMINATOR.fullmatch(key) for key in state}
    return {f"layers.{match[1]}": state[key] for key, match in matches.items() if match}


def discriminator_config_of_original(state: dict[str, Tensor]) -> DiscriminatorConfig:
    """Its sizes. Raises UserError where the file has no discriminator."""
    kernels = [t for t in discriminator_from_original(state).values() if t.ndim > 1]
    if not kernels:
        raise UserError("this codec file of the originals holds no discriminator")
    return DiscriminatorConfig(
        channels=kernels[0].shape[0], layers=len(kernels) - 2, dimensions=2 if kernels[0].ndim == 4 else 1
    )


def _codec_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    inside = {k.removeprefix(_INSIDE): tensor for k, tensor in state.items() if k.startswith(_INSIDE)}
    return inside or state


def _is_specvqgan(state: dict[str, Tensor]) -> bool:
    return any(key.startswith("quantize.") for key in _codec_of(state))


def _rename(key: str, levels: int) -> str:
    name = key
    for pattern, ours in _RULES:
        name = pattern.sub(ours, name)
    name = _UP.sub(lambda up: f"decoder.levels.{levels - 1 - int(up[1])}.", name)
    if not _OURS.match(name):
        raise UserError(f"not a codec of the originals: it has no part '{key}'")
    return name


def _count(state: dict[str, Tensor], pattern: str) -> int:
    """How many numbers stand at the place that the pattern captures. Raises UserError for none."""
    found = {match[1] for key in state if (match := re.match(pattern, key))}
    if not found:
        raise UserError("not a codec of the originals: it has no encoder with levels")
    return len(found)
