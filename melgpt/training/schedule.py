"""Optimiser and learning rate, the same for every stage."""

import math
from collections.abc import Iterable
from typing import Any

import torch

from melgpt.training.settings import StageTraining


def optimiser(groups: Iterable[Any], config: StageTraining) -> torch.optim.Optimizer:
    """AdamW as the stage's settings say."""
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay, fused=True
    )


def learning_rate(step: int, config: StageTraining) -> float:
    """A linear rise over `warmup` steps, then a cosine down to `last_rate` of the highest at `steps`."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    share = min(1.0, (step - config.warmup) / max(1, config.steps - config.warmup))
    above = 0.5 * (1 + math.cos(math.pi * share))
    return config.learning_rate * (config.last_rate + (1 - config.last_rate) * above)


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, config: StageTraining) -> None:
    """Called before each step: it follows from the step alone, so there is no state to resume."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, config)
