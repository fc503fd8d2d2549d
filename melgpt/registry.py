"""Kind → class, by name: a new part is one file and one line here, or `package.module:Class` from outside.

Nothing is imported before it is asked for. Every registered class has a nested or assigned `Config`.
"""

import importlib
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

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
        "simvq": "melgpt.quantizers.simvq:SimVQQuantizer",
        "product": "melgpt.quantizers.product:ProductQuantizer",
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
    "decoder": {
        "none": "melgpt.decoders.none:NoDecoder",
        "flow": "melgpt.decoders.flow:FlowDecoder",
    },
    "perceptual": {"lpaps": "melgpt.losses.perceptual:Perceptual"},
}


@dataclass(frozen=True)
class Family:
    """Marks a configuration field whose kind is chosen from this family.

    `Annotated[KindConfig, Family("quantizer")]` takes every kind. `Annotated[CodecConfig, Family("codec")]`
    takes those whose `Config` is a CodecConfig, and has its default kind where none is named.
    """

    name: str

    def __get_pydantic_core_schema__(self, base: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the kind before its options; all options of a kind are written, not those of `base` alone."""
        return core_schema.no_info_before_validator_function(
            partial(_checked, self.name, base),
            handler(base),
            serialization=core_schema.simple_ser_schema("any"),
        )


@dataclass(frozen=True)
class KindsOf:
    """Marks a field of several names: kinds of this family whose `Config` has all of these options."""

    family: str
    options: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, names: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the names once they are texts."""
        return core_schema.no_info_after_validator_function(self._check, handler(names))

    def _check(self, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for kind in kinds:
            if not self._fits(kind):
                fitting = [each for each in KINDS[self.family] if self._fits(each)]
                raise UserError(f"{self.family} kind '{kind}' cannot be used here{closest(kind, fitting)}")
        return kinds

    def _fits(self, kind: str) -> bool:
        fields = resolve(self.family, kind).Config.model_fields
        return all(option in fields for option in self.options)


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


def kinds_of(family: str, base: type[KindConfig] = KindConfig) -> list[str]:
    """The registered kinds of a family whose `Config` is a `base`."""
    return [kind for kind in KINDS[family] if issubclass(resolve(family, kind).Config, base)]


def configure(family: str, values: Any) -> KindConfig:
    """The checked configuration of a kind, from a name, plain values with `kind`, or a finished one.

    Raises UserError, or pydantic's ValidationError, which `Config.parse` of the part around it makes one.
    """
    checked: KindConfig = _checked(family, KindConfig, values)
    return checked


def build(family: str, config: KindConfig, **context: Any) -> Any:
    """The part that a configuration describes."""
    return resolve(family, config.kind)(config, **context)


def _checked(family: str, base: type[KindConfig], values: Any) -> Any:
    """The configuration of a kind, which must be a `base`; plain values of `base` itself are left to it."""
    if isinstance(values, KindConfig):
        _config_of(family, values.kind, base)
        return values
    if isinstance(values, str):
        values = {"kind": values}
    if isinstance(values, dict) and not base.model_fields["kind"].is_required():
        values = {"kind": base.model_fields["kind"].default, **values}
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise UserError(f"a {family} needs kind = one of: {', '.join(KINDS[family])}")
    config = _config_of(family, values["kind"], base)
    return values if config is base else config.model_validate(values)


def _config_of(family: str, kind: str, base: type[KindConfig]) -> type[KindConfig]:
    """The `Config` of a kind. Raises UserError where there is no such kind, or it is not a `base`."""
    config: type[KindConfig] = resolve(family, kind).Config
    if not issubclass(config, base):
        raise UserError(
            f"{family} kind '{kind}' cannot be used here: its Config is not a {base.__name__}"
            f"{closest(kind, kinds_of(family, base))}"
        )
    return config


AnyQuantizer = Annotated[KindConfig, Family("quantizer")]
AnyConditioning = Annotated[KindConfig, Family("conditioning")]
AnyVocoder = Annotated[KindConfig, Family("vocoder")]
