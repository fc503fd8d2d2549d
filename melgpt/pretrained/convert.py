"""An original's file → our parts: what it is is told by its keys, how large by its shapes.

A kind is one entry of KINDS: the keys that betray it, and the function that builds its parts.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from melgpt.codec.codec import Codec
from melgpt.errors import UserError, closest
from melgpt.gpt.prior import Prior
from melgpt.pretrained import codec as codecs
from melgpt.pretrained import gpt as gpts
from melgpt.pretrained import melgan as melgans
from melgpt.pretrained.reading import melgan_settings, read_content, state_of
from melgpt.types import MelScale
from melgpt.vocoders.melgan import MelGAN

State = dict[str, Tensor]
HEADS = {(24, 1024): 16, (40, 1472): 23}
"""Attention heads of the originals' published sizes, by layers and width; no file tells them."""
VAS_LABELS = ("baby", "cough", "dog", "drum", "fireworks", "gun", "hammer", "sneeze")


@dataclass(frozen=True)
class Asked:
    """What no file tells by itself."""

    heads: int | None = None
    """Attention heads of a transformer; known for the originals' published sizes."""
    labels: Sequence[str] | None = None
    """Class names in the order of their numbers; eight classes are VAS's, others their numbers."""
    rows: int = 5
    """Rows of the code grid."""
    scale: MelScale | None = None
    """The mel scale; the originals' if not given."""


@dataclass(frozen=True)
class Imported:
    """What a file held."""

    kind: str
    parts: dict[str, nn.Module]
    """By family: codec, prior, vocoder, …"""
    dropped: dict[str, str] = field(default_factory=dict)
    """Keys that have no place here, each with the reason."""

    def __getitem__(self, family: str) -> Any:
        if family not in self.parts:
            raise UserError(f"the file holds a {self.kind}: {', '.join(self.parts)}, but no {family}")
        return self.parts[family]


@dataclass(frozen=True)
class _Kind:
    marks: tuple[str, ...]
    """Patterns of keys; each must match one."""
    build: Callable[[State, Asked], Imported]


def convert(source: Path | str, kind: str = "auto", asked: Asked | None = None) -> Imported:
    """The parts in a file of the originals (a folder: MelGAN's, with best_netG.pt and args.yml).

    kind: one of KINDS, where the keys shall not decide. Raises UserError for a file that is missing, damaged
    or of no known kind, for a key that its kind does not have, and for what must be asked and was not.
    """
    source, asked = Path(source), asked or Asked()
    if source.is_dir():
        return _melgan_folder(source, asked)
    state = state_of(read_content(source), str(source))
    return convert_state(state, kind, asked, str(source))


def convert_state(
    state: State, kind: str = "auto", asked: Asked | None = None, where: str = "it"
) -> Imported:
    """The same from a state dict."""
    if kind == "auto":
        kind = recognise(state, where)
    if kind not in KINDS:
        raise UserError(f"unknown kind '{kind}'{closest(kind, list(KINDS))}")
    return KINDS[kind].build(state, asked or Asked())


def recognise(state: State, where: str = "it") -> str:
    """The kind of an original's state dict, by its keys. Raises UserError where none fits."""
    for name, kind in KINDS.items():
        if all(any(re.match(mark, key) for key in state) for mark in kind.marks):
            return name
    some = ", ".join(list(state)[:3])
    raise UserError(f"{where} is of no kind that is known ({', '.join(KINDS)}): its keys begin with {some}")


def load_strictly(part: nn.Module, state: State) -> Any:
    """Fill a part, every weight of it. Raises UserError where one is missing or does not fit."""
    try:
        part.load_state_dict(state, strict=True)
    except RuntimeError as error:
        lines = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise UserError(
            f"the weights do not fit the {type(part).__name__} that they describe: {lines}"
        ) from None
    return part.eval()


def heads_of(layers: int, width: int, asked: Asked) -> int:
    """The attention heads. Raises UserError where they were not given and no published size tells them."""
    heads = asked.heads or HEADS.get((layers, width))
    if heads is None:
        raise UserError(
            f"a transformer of {layers} layers and width {width} is none of the published sizes, and no file "
            "tells its attention heads: give --heads"
        )
    return heads


def _codec(state: State, asked: Asked) -> Imported:
    config = codecs.config_of_original(state, asked.scale)
    parts: dict[str, nn.Module] = {"codec": load_strictly(Codec(config), codecs.from_original(state))}
    return Imported("codec", parts, {key: "belongs to training" for key in codecs.dropped_keys(state)})


def _gpt(state: State, asked: Asked) -> Imported:
    blocks = {key.split("blocks.")[1].split(".")[0] for key in state if "blocks." in key and ".attn." in key}
    width = next(t.shape[1] for key, t in state.items() if key.endswith("tok_emb.weight"))
    classes = next((len(t) for key, t in state.items() if key.endswith("embedder.weight") and t.ndim == 2), 0)
    labels = asked.labels or (VAS_LABELS if classes == len(VAS_LABELS) else None)
    heads = heads_of(len(blocks), width, asked)
    config = gpts.config_of_original(state, heads=heads, rows=asked.rows, labels=labels)
    masks = {key: "a constant, checked" for key in state if key.endswith("attn.mask")}
    return Imported("gpt", {"prior": load_strictly(Prior(config), gpts.from_original(state))}, masks)


def _net2net(state: State, asked: Asked) -> Imported:
    inside = {key: tensor for key, tensor in state.items() if key.startswith("first_stage_model.")}
    transformer = {key: tensor for key, tensor in state.items() if key.startswith("transformer.")}
    codec = _codec(inside, asked)
    rows = codec["codec"].config.rows
    gpt = _gpt(transformer, Asked(asked.heads, asked.labels, rows, asked.scale))
    rest = {key: "a constant: the order of the grid" for key in state if "permuter" in key}
    if unknown := set(state) - set(inside) - set(transformer) - set(rest):
        raise UserError(f"not a Net2Net transformer of the originals: it has no part '{min(unknown)}'")
    return Imported("net2net", {**codec.parts, **gpt.parts}, {**codec.dropped, **gpt.dropped, **rest})


def _melgan(state: State, asked: Asked) -> Imported:
    config = melgans.config_of_original(state, asked.scale)
    return Imported("melgan", {"vocoder": load_strictly(MelGAN(config), melgans.from_original(state))})


def _melgan_folder(folder: Path, asked: Asked) -> Imported:
    weights, settings = folder / "best_netG.pt", folder / "args.yml"
    if not weights.is_file():
        raise UserError(f"{folder} is no MelGAN folder of the originals: it has no best_netG.pt")
    imported = _melgan(state_of(read_content(weights), str(weights)), asked)
    if settings.is_file():
        config, told = imported["vocoder"].config, melgan_settings(settings)
        found = {
            "n_mel_channels": config.mel.n_mels,
            "ngf": config.ngf,
            "n_residual_layers": config.residual_blocks,
        }
        if told != found:
            raise UserError(
                f"{settings} says {told}, the weights beside it are {found}: they do not belong together"
            )
    return imported


KINDS: dict[str, _Kind] = {
    "net2net": _Kind((r"first_stage_model\.", r"transformer\.tok_emb"), _net2net),
    "codec": _Kind((r"(first_stage_model\.)?(_vq_vae\._embedding|quantize\.embedding)\.weight",), _codec),
    "gpt": _Kind((r"(transformer\.)?tok_emb\.weight", r"(transformer\.)?embedder\.weight"), _gpt),
    "melgan": _Kind((r"model\.\d+\.weight_g",), _melgan),
}
"""In the order in which they are tried."""
