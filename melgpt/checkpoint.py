"""Self-describing model files: safetensors with kind, config, parents and format version as JSON metadata.

A part is a network with `.config` (its KindConfig) and `.family`; codec, prior and vocoder are parts.
Loading is strict. Nothing is pickled. Format, see docs/formats.md:
`{"format": 1, "family": …, "config": {…}, "parents": {family: fingerprint}, "fingerprint": …, "notes": {…}}`.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import torch
from pydantic import ValidationError
from torch import nn

from melgpt import registry
from melgpt.config import in_one_line
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

    def __post_init__(self) -> None:
        """Raises TypeError for a value of another type."""
        for name, hint in get_type_hints(type(self)).items():
            kind = get_origin(hint) or hint
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} must be of type {kind.__name__}")


def fingerprint(part: nn.Module) -> str:
    """16 hex digits that change with any weight or option of the part."""
    digest = hashlib.sha256(json.dumps(_plain_config(part), sort_keys=True).encode())
    for name, tensor in sorted(part.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def save(
    part: nn.Module,
    path: Path | str,
    *,
    parents: dict[str, str] | None = None,
    notes: dict[str, Any] | None = None,
) -> str:
    """Write a part, whole or not at all; returns its fingerprint. parents: what it was trained on top of.

    Raises UserError for a part whose kind the registry does not have: the file could not be opened.
    """
    from safetensors.torch import save as serialise

    registry.resolve(part.family, part.config.kind)  # type: ignore[union-attr, arg-type]
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
    content = serialise(tensors, metadata={_KEY: json.dumps(description, ensure_ascii=False)})
    # Written by Python, whose errors tell a full disk from a fault of ours; safetensors' own do not.
    with atomic(Path(path)) as temporary:
        temporary.write_bytes(content)
    return mark


def describe(path: Path) -> Description:
    """Read only what a file says of itself. Raises UserError for a missing, damaged or foreign file."""
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        raise UserError(f"{path} is a folder; one of the .safetensors files in it was expected")
    if not path.is_file():
        raise UserError(f"{path} is missing; a model folder needs it (was its training stage finished?)")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or not a safetensors file: {error}") from None
    if text is None:
        raise UserError(f"{path} was not written by melgpt: it carries no description of its kind and config")
    return _read_description(path, text)


def is_readable(path: Path) -> bool:
    """Whether a model file is there whole: its header and as many bytes of weights as it promises."""
    try:
        describe(path)
    except UserError:
        return False
    return True


def _read_description(path: Path, text: str) -> Description:
    try:
        values = json.loads(text)
        written = values.pop("format")
        if written != FORMAT:
            raise UserError(f"{path} has format {written}, this version reads format {FORMAT}")
        return Description(**values)
    except (json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path} carries a damaged description of its kind and config: {error}") from None


def load(path: Path | str, family: str | None = None) -> Any:
    """The part in a file, in evaluation mode on the CPU.

    Raises UserError for a file that is missing, damaged, or of another family or version.
    """
    from safetensors.torch import load_file

    path = Path(path)
    description = describe(path)
    if family is not None and description.family != family:
        raise UserError(f"{path} holds a {description.family}, a {family} was expected")
    part = _build(path, description)
    try:
        part.load_state_dict(load_file(path), strict=True)
    except RuntimeError as error:
        mismatch = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise UserError(f"{path} does not fit its own description: {mismatch}") from None
    return part.eval()


def _build(path: Path, description: Description) -> Any:
    """The part that a description names, without its weights."""
    family = description.family
    if family not in registry.KINDS:
        raise UserError(f"{path} holds a {family}, which this version does not know")
    try:
        return registry.build(family, registry.configure(family, description.config))
    except (ValidationError, UserError) as error:
        wrong = in_one_line(error) if isinstance(error, ValidationError) else str(error)
        raise UserError(f"{path} holds a {family} that this version cannot build: {wrong}") from None


def _plain_config(part: nn.Module) -> dict[str, Any]:
    plain: dict[str, Any] = part.config.plain()  # type: ignore[union-attr, operator]
    return plain
