"""Self-describing model files: safetensors with kind, config, parents and format version as JSON metadata.

A part is a network with `.config` (its KindConfig) and `.family`; codec, prior and vocoder are parts. Loading is
strict. Nothing is pickled. Format, see docs/formats.md:
`{"format": 1, "family": …, "config": {…}, "parents": {family: fingerprint}, "fingerprint": …, "notes": {…}}`.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from melgpt import registry
from melgpt.errors import UserError
from melgpt.paths import atomic

FORMAT = 1
_KEY = "melgpt"


@dataclass(frozen=True)
class Description:
    """What a model file says of itself."""

    family: str
    config: dict[str, Any]
    fingerprint: str
    parents: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def fingerprint(part: nn.Module) -> str:
    """16 hex digits that change with any weight or option of the part."""
    digest = hashlib.sha256(json.dumps(_plain_config(part), sort_keys=True).encode())
    for name, tensor in sorted(part.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def save(
    part: nn.Module, path: Path, *, parents: dict[str, str] | None = None, notes: dict[str, Any] | None = None
) -> str:
    """Write a part, whole or not at all; returns its fingerprint. `parents`: what it was trained on top of."""
    from safetensors.torch import save_file

    mark = fingerprint(part)
    description = {
        "format": FORMAT,
        "family": part.family,
        "config": _plain_config(part),
        "parents": parents or {},
        "fingerprint": mark,
        "notes": notes or {},
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in part.state_dict().items()}
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: json.dumps(description, ensure_ascii=False)})
    return mark


def describe(path: Path) -> Description:
    """Read only what a file says of itself. Raises UserError for a missing, damaged or foreign file."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path} is missing; a model folder needs it (was its training stage finished?)")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or not a safetensors file: {error}") from None
    if text is None:
        raise UserError(f"{path} was not written by melgpt: it carries no description of its kind and config")
    values = json.loads(text)
    if values.get("format") != FORMAT:
        raise UserError(f"{path} has format {values.get('format')}, this version reads format {FORMAT}")
    return Description(
        family=values["family"],
        config=values["config"],
        fingerprint=values["fingerprint"],
        parents=values["parents"],
        notes=values["notes"],
    )


def load(path: Path, family: str | None = None) -> Any:
    """The part in a file, in evaluation mode on the CPU. Raises UserError if it is not of the given family."""
    from safetensors.torch import load_file

    path = Path(path)
    description = describe(path)
    if family is not None and description.family != family:
        raise UserError(f"{path} holds a {description.family}, a {family} was expected")
    config = registry.configure(description.family, description.config)
    part = registry.build(description.family, config)
    try:
        part.load_state_dict(load_file(path), strict=True)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit its own description: {error}") from None
    return part.eval()


def _plain_config(part: nn.Module) -> dict[str, Any]:
    plain: dict[str, Any] = part.config.plain()  # type: ignore[union-attr, operator]
    return plain
