"""Vocoders on a 10-second clip: MelGAN at the originals' size, and that of recipe `small` on one thread.

MelGAN's plain way is float32 with 1-D convolutions, ours is in the precision that `auto` takes. For the other
one plain is torch without the kernels, the alternative 64 steps of Griffin-Lim, the limit real time over 100.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.machine import Machine
from benchmarks.measure import Row, Way, row
from melgpt import registry
from melgpt.evaluation.vocoder_measures import BASELINE
from melgpt.runtime import RuntimeConfig, threads
from melgpt.types import MelScale

FRAMES = 860
FRAMES_PER_SECOND = MelScale().frames_per_second
FLOP = 77.7e9


class _Flat(nn.Module):
    """A 2-D convolution of height 1 as the 1-D one that it stands for."""

    def __init__(self, conv: Any) -> None:
        super().__init__()
        kind = nn.ConvTranspose1d if isinstance(conv, nn.ConvTranspose2d) else nn.Conv1d
        options = {
            name: getattr(conv, name)[1] for name in ("stride", "padding", "dilation", "output_padding")
        }
        if kind is nn.Conv1d:
            options.pop("output_padding")
        self.conv = kind(conv.in_channels, conv.out_channels, conv.kernel_size[1], **options).to(
            conv.weight.device
        )
        with torch.no_grad():
            self.conv.weight.copy_(conv.weight.squeeze(2))
            self.conv.bias.copy_(conv.bias)

    @property
    def weight(self) -> Tensor:
        """What the network asks for its number type."""
        return self.conv.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.squeeze(2)).unsqueeze(2)


def flat(module: nn.Module) -> nn.Module:
    """A copy with 1-D convolutions."""
    copied = copy.deepcopy(module)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d | nn.ConvTranspose2d) and not isinstance(parent, _Flat):
                setattr(parent, name, _Flat(child))
    return copied


@torch.inference_mode()
def rows(machine: Machine, quick: bool) -> list[Row]:
    """Two rows."""
    with torch.inference_mode(False):
        ours = registry.build("vocoder", registry.configure("vocoder", "melgan"))
        plain = flat(ours)
        device = RuntimeConfig(precision="fp32").place([plain])
        RuntimeConfig().place([ours])
    mel = torch.rand(1, ours.scale.n_mels, FRAMES, device=device)
    ways = {"plain": lambda: plain(mel), "ours": lambda: ours(mel)}
    limit = FLOP / machine.best_matrix
    rounds, note = 3 if quick else 8, "limit: the products at full speed"
    return [row("MelGAN, 10 s", ways, rounds, limit=limit, note=note), _on_one_thread(rounds)]


def _on_one_thread(rounds: int) -> Row:
    with torch.inference_mode(False):
        plain, ours = (registry.build("vocoder", registry.configure("vocoder", "istft")) for _ in range(2))
        other = registry.build("vocoder", registry.configure("vocoder", BASELINE))
    RuntimeConfig(device="cpu", compile="off").place([plain])
    RuntimeConfig(device="cpu").place([ours])
    mel = torch.rand(1, ours.scale.n_mels, FRAMES)
    parts = {"plain": plain, "ours": ours, "alternative": other}
    ways: dict[str, Way] = {name: lambda part=part: part(mel) for name, part in parts.items()}
    with threads(1):
        note = "one thread; alternative: Griffin-Lim 64; limit: a hundred times real time"
        return row(
            "vocoder of `small`, 10 s", ways, rounds, limit=FRAMES / FRAMES_PER_SECOND / 100, note=note
        )
