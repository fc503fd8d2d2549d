"""Training of the VAE: reconstruction error plus the annealed KL with free bits; reported in nats a clip."""

import math
from typing import Any

import torch
from torch import Tensor

from melgpt.gpt.model import weight_decay_groups
from melgpt.gpt.vae import GPTVAE
from melgpt.losses.kl import Annealing, VAELoss, kl_per_dimension, vae_loss
from melgpt.training.errors import check_finite
from melgpt.training.portions import Portions, Probe
from melgpt.training.schedule import learning_rate, optimiser, set_learning_rate
from melgpt.training.settings import VAETraining
from melgpt.training.stage_task import StageTask


class VAETask(StageTask):
    """Lightning's view of the VAE."""

    settings: VAETraining

    def __init__(self, vae: GPTVAE, config: VAETraining, annealing: Annealing) -> None:
        super().__init__()
        self.vae, self.settings, self.annealing = vae, config, annealing
        self.portions = Portions()
        self._seen: list[tuple[VAELoss, int]] = []

    @property
    def part(self) -> GPTVAE:
        """What is saved when training is over."""
        return self.vae

    def configure_optimizers(self) -> Any:
        return optimiser(weight_decay_groups(self.vae, self.settings.weight_decay), self.settings)

    def training_step(self, tokens: Tensor, index: int) -> Tensor:
        """tokens [B, S] of whole sounds."""
        step = self.batches_done()
        weight = self.annealing.weight(step)
        free_bits = 0 if self.annealing.never else self.settings.free_bits
        loss = self._loss(tokens, None, weight=weight, free_bits=free_bits, target=self.settings.target_kl)
        set_learning_rate(self.trainer.optimizers[0], step, self.settings)
        check_finite(loss.total, "vae", step)
        self.log("train/loss", loss.total.detach())
        self.log("train/reconstruction", loss.reconstruction.detach())
        self.log("train/kl", loss.kl.detach())
        self.log("train/counted_kl", loss.counted.detach())
        self.log("train/kl_weight", weight)
        self.log("learning_rate", learning_rate(step, self.settings))
        return loss.total

    def on_validation_epoch_start(self) -> None:
        self._seen.clear()

    def validation_step(self, tokens: Tensor, index: int) -> None:
        # The same noise at every validation: what changes is the network.
        noise = torch.Generator().manual_seed(self.settings.seed + index)
        self._seen.append((self._loss(tokens, noise, weight=1.0), len(tokens)))

    def on_validation_epoch_end(self) -> None:
        clips = sum(n for _, n in self._seen)
        reconstruction, kl = (
            sum(float(getattr(loss, name)) * n for loss, n in self._seen) / clips
            for name in ("reconstruction", "kl")
        )
        self.log("val/loss", reconstruction if self.annealing.never else reconstruction + kl)
        self.log("val/reconstruction_bits", reconstruction / math.log(2) / self.vae.length)
        self.log("val/kl", kl)

    def _loss(self, tokens: Tensor, noise: torch.Generator | None, **weights: Any) -> VAELoss:
        mean, log_variance = self.portions(self._ends, tokens).chunk(2, dim=-1)
        error = self.portions(self.vae.error, tokens, self.vae.draw(mean, log_variance, noise))
        return vae_loss(error, kl_per_dimension(mean, log_variance), **weights)

    def _ends(self, tokens: Tensor) -> Tensor:
        """Mean and log-variance of z side by side, [B, 2 C]."""
        return torch.cat(self.vae.encode(tokens), dim=-1)

    def probes(self, batch: Tensor) -> list[Probe]:
        """A step on a batch."""
        return [lambda: self._loss(batch, None, weight=1.0)]
