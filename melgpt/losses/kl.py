"""The loss of a VAE: reconstruction error plus a weight that rises (annealing) times a KL with free bits.

Annealing: Bowman et al. 2016, https://arxiv.org/abs/1511.06349. Free bits, as Kingma et al. 2016
(https://arxiv.org/abs/1606.04934), keep z from carrying nothing: a KL below a target costs nothing. The
originals mask such a KL out and so count all of it as soon as it is above; a maximum would count the rest.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


def kl_per_dimension(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats, for each dimension [B, C]."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


def counted_kl(kl: Tensor, free_bits: int, target: float) -> Tensor:
    """The KL [B] that costs, of kl [B, C].

    free_bits: 0 all of it; 1 that of the clips above the target; 2 that of the dimensions above their equal
    share of the target; 3 all of it if the batch's mean is above the target. Raises ValueError for others.
    """
    of_clips = kl.sum(1)
    if free_bits == 0:
        return of_clips
    if free_bits == 1:
        return of_clips * (of_clips > target)
    if free_bits == 2:
        return (kl * (kl > target / kl.shape[1])).sum(1)
    if free_bits == 3:
        return of_clips * (of_clips.mean() > target)
    raise ValueError(f"free_bits is 0, 1, 2 or 3, not {free_bits}")


@dataclass(frozen=True)
class Annealing:
    """The weight of the KL: before each step it rises by `rate`, from `start`, up to 1; all times `beta`."""

    start: float
    rate: float
    beta: float = 1.0

    @classmethod
    def over(cls, passes: float, *, start: float, clips: int, batch: int, beta: float = 1.0) -> Self:
        """Rise to 1 within so many passes over the training clips; 0 passes stay at the start for good."""
        steps = passes * clips / batch
        return cls(start, (1 - start) / steps if steps > 0 else 0.0, beta)

    def weight(self, step: int) -> float:
        """Weight at a step, from 0 on. It follows from the step alone, so there is no state to resume."""
        return self.beta * min(1.0, self.start + (step + 1) * self.rate)

    @property
    def never(self) -> bool:
        """Whether the KL never costs anything: a plain auto-encoder, judged by its reconstruction alone."""
        return self.beta == 0 or (self.rate == 0 and self.start < 1e-6)


@dataclass(frozen=True)
class VAELoss:
    """Means over a batch, in nats a clip."""

    total: Tensor
    """What is minimised: reconstruction + weight * counted."""
    reconstruction: Tensor
    """Reconstruction error."""
    kl: Tensor
    """KL, whether it costs or not."""
    counted: Tensor
    """KL that costs, before its weight."""

    @property
    def bound(self) -> Tensor:
        """Upper bound of minus the log-likelihood (the negative ELBO)."""
        return self.reconstruction + self.kl


def vae_loss(error: Tensor, kl: Tensor, *, weight: float, free_bits: int = 0, target: float = 0.0) -> VAELoss:
    """From the reconstruction error [B] and the KL of each dimension [B, C]; see `counted_kl`."""
    counted = counted_kl(kl, free_bits, target)
    return VAELoss(
        total=torch.mean(error + weight * counted),
        reconstruction=error.mean(),
        kl=kl.sum(1).mean(),
        counted=counted.mean(),
    )
