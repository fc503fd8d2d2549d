"""A recipe: everything that a run depends on, as one checked configuration read from TOML.

A recipe file holds only what differs from the defaults; the resolved one is written into the model folder.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import model_validator

from melgpt import registry
from melgpt.codec.codec import CodecConfig
from melgpt.config import Config, merge, parse_changes, read_toml, to_toml
from melgpt.data.config import DataConfig
from melgpt.decoders.base import MelDecoderConfig
from melgpt.decoders.none import NoDecoderConfig
from melgpt.gpt.prior import PriorConfig
from melgpt.gpt.vae import GPTVAEConfig
from melgpt.paths import atomic, recipe_path
from melgpt.runtime import RuntimeConfig
from melgpt.training.settings import (
    ClassifierTraining,
    CodecTraining,
    DecoderTraining,
    PriorTraining,
    VAETraining,
    VocoderTraining,
)
from melgpt.types import AUTO, MelScale


class StagesTraining(Config):
    """Training of each stage."""

    codec: CodecTraining = CodecTraining()
    """Training of the codec."""
    decoder: DecoderTraining = DecoderTraining()
    """Training of the decoder, where it has weights."""
    vocoder: VocoderTraining = VocoderTraining()
    """Training of the vocoder, where it has weights."""
    prior: PriorTraining = PriorTraining()
    """Training of the prior."""
    vae: VAETraining = VAETraining()
    """Training of the VAE."""
    classifier: ClassifierTraining = ClassifierTraining()
    """Training of the listeners."""


class Recipe(Config):
    """A whole run."""

    mel: MelScale = MelScale()
    """The mel scale of all parts; `preset = "hifigan"` stands for its numbers."""
    data: DataConfig = DataConfig()
    """Preparation of the sounds."""
    codec: Annotated[CodecConfig, registry.Family("codec")] = CodecConfig()
    """The codec."""
    decoder: Annotated[MelDecoderConfig, registry.Family("decoder")] = NoDecoderConfig()
    """What gives the codec's smooth mels the detail of real sounds."""
    prior: Annotated[PriorConfig, registry.Family("prior")] = PriorConfig()
    """The prior."""
    vae: Annotated[GPTVAEConfig, registry.Family("vae")] = GPTVAEConfig()
    """The VAE."""
    vocoder: registry.AnyVocoder = registry.configure("vocoder", "griffin_lim")
    """The vocoder."""
    vocoder_file: str = ""
    """A vocoder.safetensors with trained weights, for a vocoder that has weights."""
    train: StagesTraining = StagesTraining()
    """Training of the stages."""
    runtime: RuntimeConfig = RuntimeConfig()
    """Device, precision, threads."""

    @model_validator(mode="before")
    @classmethod
    def _share_the_mel(cls, values: Any) -> Any:
        """One mel scale for all parts."""
        if not isinstance(values, dict):
            return values
        mel = values.get("mel", {})
        if not isinstance(mel, dict | MelScale):
            raise ValueError(f"mel is a table of options, such as mel.preset=hifigan, not {mel!r}")
        if isinstance(mel, dict):
            mel = MelScale.of_table(mel)
        scale = mel.model_dump()
        shared = {**values, "mel": scale}
        shared["codec"] = _with_mel(values.get("codec", {}), scale)
        shared["decoder"] = _with_mel(values.get("decoder", {"kind": "none"}), scale)
        shared["vocoder"] = _with_mel(values.get("vocoder", {"kind": "griffin_lim"}), scale)
        return shared

    @model_validator(mode="after")
    def _check_crops(self) -> Self:
        frames = self.codec.network.token_size[1]
        self.decoder.for_codec(1, frames)  # what does not fit is said before the codec is trained
        for stage in ("codec", "decoder"):
            crop = getattr(self.train, stage).crop_frames
            if crop % frames and (stage == "codec" or self.decoder.kind != "none"):
                raise ValueError(
                    f"train.{stage}.crop_frames must be a multiple of the {frames} frames of a token, "
                    f"not {crop}"
                )
        if self.train.codec.adversarial_start >= self.train.codec.steps:
            return self
        network = self.train.codec.discriminator
        smallest = network.shortest_axis(self.mel.n_mels, self.train.codec.crop_frames)
        if network.patches(smallest) < 1:
            raise ValueError(
                f"train.codec.discriminator.layers={network.layers} is too deep for {self.mel.n_mels} mel "
                f"bands and crops of {self.train.codec.crop_frames} frames: take fewer"
            )
        return self

    @classmethod
    def read(
        cls,
        name: str,
        changes: list[str] | None = None,
        auto: Callable[[DataConfig], dict[str, Any]] | None = None,
    ) -> Self:
        """A recipe by name or path, with `key=value` changes. Raises UserError for what it does not know.

        auto: the [mel] that `mel.preset=auto` stands for, where sounds are prepared in this way.
        """
        base, changed = read_toml(recipe_path(name)), parse_changes(changes or [])
        if "mel" in changed:
            base = _with_one_mel(base, changed["mel"])
        values = merge(base, changed)
        mel = values.get("mel")
        if auto is not None and isinstance(mel, dict) and mel.get("preset") == AUTO:
            data = DataConfig.parse(values.get("data", {}), where="data")
            cls.parse({**values, "mel": {}})  # what is wrong otherwise is said before sounds are measured
            values["mel"] = MelScale.of_table(mel, lambda: auto(data)).plain()
        return cls.parse(values)

    def write(self, path: Path) -> None:
        """Write it whole, every option named."""
        with atomic(path) as temporary:
            temporary.write_text(to_toml(self.plain()), encoding="utf-8")


def _with_one_mel(base: dict[str, Any], changed: Any) -> dict[str, Any]:
    """A recipe whose mel scale is about to be changed: without the copies of it that a written one has in its
    parts, and without all of it where another preset takes its place."""
    one = {
        key: {name: each for name, each in part.items() if name != "mel"} if isinstance(part, dict) else part
        for key, part in base.items()
        if key in ("codec", "decoder", "vocoder")
    }
    preset = isinstance(changed, dict) and "preset" in changed
    return {**{key: each for key, each in base.items() if not (preset and key == "mel")}, **one}


def _with_mel(part: Any, scale: dict[str, Any]) -> Any:
    plain = part.model_dump() if isinstance(part, Config) else part
    if not isinstance(plain, dict):
        return plain
    given = plain.get("mel", scale)
    if MelScale.parse(given) != MelScale.parse(scale):
        raise ValueError(f"a part has another mel scale than the recipe ({given}): set it under [mel] alone")
    return {**plain, "mel": scale}
