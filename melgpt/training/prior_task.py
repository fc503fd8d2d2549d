"""Training of the prior: the next code, by cross-entropy; reported in bits a token."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.gpt.model import weight_decay_groups
from melgpt.gpt.prior import Prior
from melgpt.training.errors import check_finite
from melgpt.training.portions import Portions, Probe
from melgpt.training.schedule import learning_rate, optimiser, set_learning_rate
from melgpt.training.sequences import IGNORED
from melgpt.training.settings import PriorTraining
from melgpt.training.stage_task import StageTask


class PriorTask(StageTask):
    """Lightning's view of the prior."""

    settings: PriorTraining

    def __init__(self, prior: Prior, config: PriorTraining) -> None:
        super().__init__()
        self.prior, self.settings, self.portions = prior, config, Portions()
        self._bits: list[tuple[float, int]] = []

    @property
    def part(self) -> Prior:
        """What is saved when training is over."""
        return self.prior

    def configure_optimizers(self) -> Any:
        return optimiser(weight_decay_groups(self.prior, self.settings.weight_decay), self.settings)

    def training_step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
        """Targets [B, S] (IGNORED where padded), labels [B] and, if it sees videos, frames [B, T, D]."""
        loss = self._training_losses(batch).mean()
        step = self.batches_done()
        set_learning_rate(self.trainer.optimizers[0], step, self.settings)
        check_finite(loss, "prior", step)
        self.log("train/bits", loss.detach() / math.log(2))
        self.log("learning_rate", learning_rate(step, self.settings))
        return loss

    def on_validation_epoch_start(self) -> None:
        self._bits.clear()

    def validation_step(self, batch: tuple[Tensor, ...], index: int) -> None:
        targets, *condition = batch
        losses = self._losses(targets[:, :-1], targets, *condition)
        self._bits.append((float(losses.sum()) / math.log(2), len(losses)))

    def probes(self, batch: tuple[Tensor, ...]) -> list[Probe]:
        """A step on a batch."""
        return [lambda: self._training_losses(batch).mean()]

    def _training_losses(self, batch: tuple[Tensor, ...]) -> Tensor:
        """Losses in nats, [tokens], of a prior that reads some wrong codes."""
        targets, *condition = batch
        read = _with_random_codes(targets[:, :-1], self.settings.replaced, self.prior.config.codebook)
        return self._losses(read, targets, *condition, smoothing=self.settings.label_smoothing)

    def _losses(self, read: Tensor, targets: Tensor, *condition: Tensor, smoothing: float = 0.0) -> Tensor:
        """Losses in nats of all tokens that count, [tokens]."""
        return self.portions(
            partial(_cross_entropy, self.prior, smoothing=smoothing), read, targets, *condition
        )

    def on_validation_epoch_end(self) -> None:
        tokens = sum(n for _, n in self._bits)
        self.log("val/bits", sum(bits for bits, _ in self._bits) / max(tokens, 1))


def _cross_entropy(
    prior: Prior, read: Tensor, targets: Tensor, *condition: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Losses in nats of all tokens that count, [tokens].

    read [B, S - 1]: what the prior sees of all but the last.
    """
    logits, flat = prior(read.clamp(min=0), *condition).float().flatten(0, 1), targets.flatten()
    losses = F.cross_entropy(logits, flat, ignore_index=IGNORED, reduction="none", label_smoothing=smoothing)
    return losses[flat != IGNORED]


def _with_random_codes(read: Tensor, share: float, codebook: int) -> Tensor:
    """Codes [B, S] of which about this share are random ones below `codebook`."""
    if not share:
        return read
    chosen = torch.rand(read.shape, device=read.device) < share
    return torch.where(chosen, torch.randint_like(read, codebook), read)
