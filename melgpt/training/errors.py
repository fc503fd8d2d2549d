"""What can go wrong in training, in words."""

import torch
from torch import Tensor

from melgpt.errors import UserError


class DivergedError(UserError):
    """The loss is no longer a number."""

    def __init__(self, stage: str, step: int) -> None:
        super().__init__(f"{stage}: the loss is not a finite number at step {step}")
        self.stage, self.step = stage, step


def check_finite(loss: Tensor, stage: str, step: int) -> None:
    """Raises DivergedError where the loss is NaN or infinite."""
    if not bool(torch.isfinite(loss.detach())):
        raise DivergedError(stage, step)
