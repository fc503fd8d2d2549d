"""The vocoder that an originals' command listens through: MelGAN where its weights lie, else Griffin-Lim."""

from pathlib import Path
from typing import Any

from melgpt import registry
from melgpt.errors import UserError
from melgpt.pretrained import convert
from melgpt.progress import say
from melgpt.types import MelScale

HOME = Path("vocoder/logs/vggsound")
"""Where the originals' MelGAN lies in a clone."""
WEIGHTS = "best_netG.pt"


def open_vocoder(given: Path | None, scale: MelScale) -> Any:
    """The MelGAN of a folder; without one that of vocoder/logs/vggsound; without weights there, Griffin-Lim.

    Raises UserError for a folder without weights other than vocoder/logs/vggsound, and for another mel scale.
    """
    folder = given if given is not None else HOME
    if (folder / WEIGHTS).is_file():
        vocoder = convert(folder)["vocoder"]
        if vocoder.scale != scale:
            raise UserError(f"{folder}: this MelGAN is for {vocoder.scale!r}, not for {scale!r}")
        say(f"vocoder: MelGAN from {folder}")
        return vocoder.eval()
    if given is not None and given.resolve() != HOME.resolve():
        raise UserError(f"--vocoder {given}: there is no {WEIGHTS} in it")
    say(f"vocoder: Griffin-Lim; put {WEIGHTS} and args.yml into {HOME} to listen through MelGAN")
    return registry.build(
        "vocoder", registry.configure("vocoder", {"kind": "griffin_lim", "mel": scale.plain()})
    )
