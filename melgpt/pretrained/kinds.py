"""The kinds of the originals' files: the keys that betray each, and the function that builds its parts."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from melgpt import registry
from melgpt.codec.codec import Codec
from melgpt.codec.discriminator import Discriminator
from melgpt.errors import UserError
from melgpt.gpt.prior import Prior
from melgpt.gpt.vae import GPTVAE
from melgpt.losses.perceptual import Perceptual
from melgpt.pretrained import codec as codecs
from melgpt.pretrained import gpt as gpts
from melgpt.pretrained import melception as melceptions
from melgpt.pretrained import melgan as melgans
from melgpt.pretrained import net2net as net2nets
from melgpt.pretrained import perceptual as perceptuals
from melgpt.pretrained import vae as vaes
from melgpt.pretrained import vocos
from melgpt.pretrained.imported import Asked, Imported, State, filled
from melgpt.types import MelScale
from melgpt.vocoders.istft import ISTFTVocoder
from melgpt.vocoders.melgan import MelGAN

_MASK = "a constant, checked"
_ORDER = "the order of the grid, checked"
_AUXILIARY = "used by its training alone"


@dataclass(frozen=True)
class Kind:
    """One kind of file."""

    marks: tuple[str, ...]
    """Patterns of keys; each must match one."""
    build: Callable[[State, Asked], Imported]


COMMANDS = {"codec": "train.py", "gpt": "GPT_train.py", "vae": "GPT_VAE_train.py"}
"""Which of the three commands trains a kind."""
_OURS = {"codec.": "codec", "prior.": "gpt", "vae.": "vae"}
"""How the keys of their checkpoints here begin."""


def kind_of_ours(state: State) -> str | None:
    """The kind of a checkpoint that one of the three commands wrote here; None for others."""
    return next((kind for start, kind in _OURS.items() if any(key.startswith(start) for key in state)), None)


def recognise(state: State, where: str = "it") -> str:
    """The kind of an original's state dict, by its keys. Raises UserError where none fits."""
    for name, kind in KINDS.items():
        if all(any(re.match(mark, key) for key in state) for mark in kind.marks):
            return name
    if (ours := kind_of_ours(state)) is not None:
        command = COMMANDS[ours]
        raise UserError(
            f"{where} is a checkpoint of {command} here, not of the originals: `python {command} "
            "--test 1 --resume FILE …` makes a model folder of it"
        )
    some = ", ".join(list(state)[:3])
    raise UserError(f"{where} is of no kind that is known ({', '.join(KINDS)}): its keys begin with {some}")


def _codec(state: State, asked: Asked) -> Imported:
    config = codecs.config_of_original(state, asked.scale)
    parts: dict[str, nn.Module] = {"codec": filled(Codec(config), codecs.from_original(state))}
    if judge := codecs.discriminator_from_original(state):
        parts["discriminator"] = filled(Discriminator(codecs.discriminator_config_of_original(state)), judge)
    if any("perceptual_loss." in key for key in state):
        network = Perceptual(perceptuals.config_of_original(state, asked.scale))
        parts["perceptual"] = filled(network, perceptuals.from_original(state))
    return Imported("codec", parts)


def _discriminator(state: State, asked: Asked) -> Imported:
    config = codecs.discriminator_config_of_original(state)
    judge = filled(Discriminator(config), codecs.discriminator_from_original(state))
    return Imported("discriminator", {"discriminator": judge})


def _gpt(state: State, asked: Asked) -> Imported:
    heads, labels = _transformer_facts(state, asked)
    config = gpts.config_of_original(
        state, heads=heads, rows=asked.rows, columns=asked.columns, labels=labels
    )
    return Imported("gpt", {"prior": filled(Prior(config), gpts.from_original(state))}, _masks(state))


def _net2net(state: State, asked: Asked) -> Imported:
    heads, labels = _transformer_facts(state, asked)
    weights = net2nets.from_original(state)
    configs = net2nets.config_of_original(state, heads=heads, labels=labels, scale=asked.scale)
    parts = {
        "codec": filled(Codec(configs.codec), weights.codec),
        "prior": filled(Prior(configs.prior), weights.prior),
    }
    order = {key: _ORDER for key in state if "_permuter." in key}
    return Imported("net2net", parts, {**_masks(state), **order})


def _vae(state: State, asked: Asked) -> Imported:
    heads, _ = _transformer_facts(state, asked)
    config = vaes.config_of_original(state, heads=heads, rows=asked.rows)
    weights = {key: "all equal, checked" for key in vaes.DROPPED if key in state}
    return Imported(
        "vae", {"vae": filled(GPTVAE(config), vaes.from_original(state))}, _masks(state) | weights
    )


def _melgan(state: State, asked: Asked) -> Imported:
    config = melgans.config_of_original(state, asked.scale)
    return Imported("melgan", {"vocoder": filled(MelGAN(config), melgans.from_original(state))})


def _vocos(state: State, asked: Asked) -> Imported:
    network = ISTFTVocoder(vocos.config_of_original(state, asked.scale))
    own = {key: "its own features, checked" for key in state if key.startswith(vocos.PREFIX)}
    return Imported("vocos", {"vocoder": filled(network, vocos.from_original(state))}, own)


def _melception(state: State, asked: Asked) -> Imported:
    scale = asked.scale or MelScale()
    network = registry.build("classifier", melceptions.config_of_original(state, scale))
    ours = melceptions.from_original(state, statistics=asked.band_statistics(scale.n_mels))
    auxiliary = {key: _AUXILIARY for key in state if key.startswith("AuxLogits.")}
    return Imported("melception", {"classifier": filled(network, ours)}, auxiliary)


def _vggish(state: State, asked: Asked) -> Imported:
    scale = asked.scale or MelScale()
    network = Perceptual(perceptuals.config_of_classifier(state, scale))
    ours = perceptuals.from_classifier(state, statistics=asked.band_statistics(scale.n_mels))
    head = {key: "the perceptual loss ends before it" for key in state if key.startswith("classifier.")}
    return Imported("vggish", {"perceptual": filled(network, ours)}, head)


def _transformer_facts(state: State, asked: Asked) -> tuple[int, list[str] | None]:
    """Heads and class names of the transformer in a file, half of a VAE or whole."""
    layers = {match[1] for key in state if (match := re.search(r"\bblocks\.(\d+)\.", key))}
    width = next(t.shape[1] for key, t in state.items() if key.endswith("tok_emb.weight"))
    classes = [
        len(tensor)
        for key, tensor in state.items()
        if re.search(r"\b(cls_)?embedder\.weight$", key) and tensor.ndim == 2
    ]
    labels = asked.labels_of(classes[0]) if classes else asked.labels
    return asked.heads_of(len(layers), width), None if labels is None else list(labels)


def _masks(state: State) -> dict[str, str]:
    return {key: _MASK for key in state if key.endswith("attn.mask")}


KINDS: dict[str, Kind] = {
    "net2net": Kind((r"first_stage_model\.", r"first_stage_permuter\.", r"transformer\.tok_emb"), _net2net),
    "codec": Kind((r"(_vq_vae\._embedding|quantize\.embedding)\.weight",), _codec),
    "vae": Kind((r"encoder\.transformer\.tok_emb", r"decoder\.transformer\.tok_emb"), _vae),
    "gpt": Kind(
        (r"(transformer\.)?tok_emb\.weight", r"(transformer\.)?((cls|feat)_)?embedder\.weight"), _gpt
    ),
    "melgan": Kind((r"model\.\d+\.weight_g",), _melgan),
    "vocos": Kind((r"backbone\.convnext\.0\.dwconv\.weight", r"head\.istft\.window"), _vocos),
    "melception": Kind((r"Conv2d_1a_3x3\.", r"fc\.weight"), _melception),
    "vggish": Kind((r"features\.0\.weight", r"classifier\.0\.weight"), _vggish),
    "discriminator": Kind((r"main\.0\.weight",), _discriminator),
}
"""In the order in which they are tried."""
