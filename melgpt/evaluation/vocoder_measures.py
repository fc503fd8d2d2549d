"""Figures of a vocoder on real mels, each beside that of Griffin-Lim, which needs no training."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from melgpt import registry
from melgpt.audio.mel import analyse
from melgpt.evaluation.sound_distances import envelope_correlation, multi_resolution_stft, onset_sharpness
from melgpt.losses.reconstruction import mel_l1
from melgpt.types import Audio, MelScale

BASELINE = {"kind": "griffin_lim", "iterations": 64}


@torch.inference_mode()
def vocoder_measures(vocoder: Any, clips: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Means over clips, mel [F, N] and real samples [hop * N]; those of the baseline are `griffin_lim_…`."""
    scale = vocoder.scale
    config = registry.configure("vocoder", {**BASELINE, "mel": scale.plain()})
    both = {"": vocoder, "griffin_lim_": registry.build("vocoder", config)}
    totals: dict[str, float] = {}
    count = 0
    for mel, real in clips:
        count += 1
        for prefix, part in both.items():
            made = part(mel[None].to(_device(part))).cpu()
            for name, value in distances(made, real[None], mel, scale).items():
                totals[prefix + name] = totals.get(prefix + name, 0.0) + value
        totals["real_onset"] = totals.get("real_onset", 0.0) + float(onset_sharpness(real[None], scale))
    return {name: total / max(count, 1) for name, total in totals.items()}


def distances(made: Tensor, real: Tensor, mel: Tensor, scale: MelScale) -> dict[str, float]:
    """What is measured of one made sound [1, T] beside the real one and its mel [F, N]."""
    again = analyse(Audio(made, scale.rate), scale).values[0]
    frames = min(again.shape[-1], mel.shape[-1])
    return {
        "whole_band": float(multi_resolution_stft(made, real, scale)),
        "in_band": float(multi_resolution_stft(made, real, scale, (scale.f_min, scale.f_max))),
        "mel_l1": float(mel_l1(again[:, :frames], mel[:, :frames])),
        "envelope_correlation": float(envelope_correlation(made, real, scale)),
        "envelope_in_band": float(envelope_correlation(made, real, scale, (scale.f_min, scale.f_max))),
        "onset": float(onset_sharpness(made, scale)),
    }


def _device(part: Any) -> torch.device:
    weights: Iterable[Tensor] = part.parameters()
    return next((weight.device for weight in weights), torch.device("cpu"))
