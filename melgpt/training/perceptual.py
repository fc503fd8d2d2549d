"""The network of the perceptual loss, from the file that the settings name."""

from pathlib import Path

from melgpt import checkpoint
from melgpt.errors import UserError
from melgpt.losses.perceptual import Perceptual
from melgpt.training.settings import CodecTraining
from melgpt.types import MelScale


def open_perceptual(settings: CodecTraining, scale: MelScale) -> Perceptual | None:
    """None where it does not count. Raises UserError for a missing or foreign file and another mel scale."""
    if not settings.perceptual_weight:
        return None
    path = Path(settings.perceptual_file)
    if not path.is_file():
        raise UserError(
            f"train.codec.perceptual_file {path} is not there: give a perceptual.safetensors, or set "
            "train.codec.perceptual_weight=0 to train without it"
        )
    network: Perceptual = checkpoint.load(path, "perceptual")
    if network.scale != scale:
        raise UserError(
            f"the perceptual network's mel scale {network.scale!r} is not the recipe's {scale!r}: "
            "set [mel] as the network has it"
        )
    return network
