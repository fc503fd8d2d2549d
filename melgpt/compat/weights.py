"""Weights of a checkpoint into a network of the flags' sizes: what does not fit is said in one line."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from melgpt.errors import UserError
from melgpt.pretrained.kinds import COMMANDS, kind_of_ours, recognise

MARK = "codec_fingerprint"
"""Key of a checkpoint: the codec whose codes a transformer has learnt."""
LONGEST = 160
"""Characters of a message of torch's, which may name thousands of tensors."""


def is_ours(state: dict[str, Tensor], wanted: str, path: Path) -> bool:
    """Whether a state dict is of a command here, and not of the originals; `wanted`: codec, gpt or vae.

    Raises UserError where it holds something else.
    """
    ours = kind_of_ours(state)
    found = ours or recognise(state, str(path))
    if found != wanted:
        raise UserError(f"{path} holds a {found}, {COMMANDS[wanted]} goes on with a {wanted}")
    return ours is not None


def fill(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Raises UserError with the first tensors that do not fit."""
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        first = textwrap.shorten(str(error).splitlines()[1], LONGEST, placeholder=" …")
        raise UserError(f"{where} does not fit the flags' sizes: {first}") from None


def check_epochs(path: Path, done: int, epochs: int) -> None:
    """Raises UserError where a checkpoint leaves nothing to train."""
    if done >= epochs:
        raise UserError(f"{path} has {done} epochs behind it: --epochs {epochs} leaves none to train")
