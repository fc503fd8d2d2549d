"""Kind → class, by name: a new part is one file and one line here, or `package.module:Class` from outside.

Nothing is imported before it is asked for. Every registered class has a nested or assigned `Config`.
"""

import importlib
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from melgpt.config import KindConfig
from melgpt.errors import UserError, closest

KINDS: dict[str, dict[str, str]] = {
    "codec": {"vqgan": "melgpt.codec.codec:Codec"},
    "discriminator": {
        "patchgan": "melgpt.codec.discriminator:Discriminator",
        "sound": "melgpt.vocoders.discriminators:SoundDiscriminator",
    },
    "quantizer": {
        "vq": "melgpt.quantizers.vq:VectorQuantizer",
        "ema": "melgpt.quantizers.ema:EMAQuantizer",
        "fsq": "melgpt.quantizers.fsq:FiniteScalarQuantizer",
    },
    "prior": {"gpt": "melgpt.gpt.prior:Prior"},
    "vae": {"gpt_vae": "melgpt.gpt.vae:GPTVAE"},
    "conditioning": {
        "class_label": "melgpt.conditioning.class_label:ClassLabel",
        "frames": "melgpt.conditioning.frames:Frames",
        "frames_class": "melgpt.conditioning.frames:FramesClass",
    },
    "vocoder": {
        "griffin_lim": "melgpt.vocoders.griffin_lim:GriffinLim",
        "melgan": "melgpt.vocoders.melgan:MelGAN",
        "istft": "melgpt.vocoders.istft:ISTFTVocoder",
    },
    "classifier": {
        "melception": "melgpt.evaluation.melception:Melception",
        "listener_cnn": "melgpt.evaluation.listener_cnn:ListenerCNN",
        "listener_transformer": "melgpt.evaluation.listener_transformer:ListenerTransformer",
    },
    "perceptual": {"lpaps": "melgpt.losses.perceptual:Perceptual"},
}


@dataclass(frozen=True)
class Family:
    """Marks a configuration field whose kind is chosen from this family."""

    name: str


def resolve(family: str, kind: str) -> Any:
    """The class of a kind. Raises UserError with the nearest known kind."""
    target = kind if ":" in kind else KINDS[family].get(kind)
    if target is None:
        raise UserError(f"unknown {family} kind '{kind}'{closest(kind, list(KINDS[family]))}")
    module, _, name = target.partition(":")
    if ":" not in kind:
        return getattr(importlib.import_module(module), name)
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{family} kind '{kind}' cannot be imported: {error}; its package must be installed, or "
            "its folder stand in PYTHONPATH"
        ) from None
    if not hasattr(found, "Config"):
        raise UserError(f"{family} kind '{kind}' is no part: it has no Config")
    return found


def configure(family: str, values: Any) -> KindConfig:
    """The checked configuration of a kind, from a name, plain values with `kind`, or a finished one.

    Raises UserError, or pydantic's ValidationError, which `Config.parse` of the part around it makes one.
    """
    if isinstance(values, KindConfig):
        return values
    if isinstance(values, str):
        values = {"kind": values}
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise UserError(f"a {family} needs kind = one of: {', '.join(KINDS[family])}")
    config: KindConfig = resolve(family, values["kind"]).Config.model_validate(values)
    return config


def build(family: str, config: KindConfig, **context: Any) -> Any:
    """The part that a configuration describes."""
    return resolve(family, config.kind)(config, **context)


AnyCodec = Annotated[
    SerializeAsAny[KindConfig], Family("codec"), BeforeValidator(partial(configure, "codec"))
]
AnyQuantizer = Annotated[
    SerializeAsAny[KindConfig], Family("quantizer"), BeforeValidator(partial(configure, "quantizer"))
]
AnyPrior = Annotated[
    SerializeAsAny[KindConfig], Family("prior"), BeforeValidator(partial(configure, "prior"))
]
AnyConditioning = Annotated[
    SerializeAsAny[KindConfig], Family("conditioning"), BeforeValidator(partial(configure, "conditioning"))
]
AnyVocoder = Annotated[
    SerializeAsAny[KindConfig], Family("vocoder"), BeforeValidator(partial(configure, "vocoder"))
]
