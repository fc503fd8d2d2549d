"""What z carries: density, mutual information with the sound, units in use.

Mutual information as Hoffman and Johnson 2016 (ELBO surgery, http://approximateinference.org/accepted/
HoffmanJohnson2016.pdf); active units as Burda et al. 2016, https://arxiv.org/abs/1509.00519.
"""

import math

import torch
from torch import Tensor

ACTIVE = 0.01
"""Variance of a unit's mean over a set from which on it counts as active."""


def log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean, exp(log_variance)), summed over the last axis; the others are broadcast."""
    distance = (z - mean).square() / log_variance.exp()
    return -0.5 * (distance + log_variance + math.log(2 * math.pi)).sum(-1)


def mutual_information(mean: Tensor, log_variance: Tensor, z: Tensor) -> float:
    """Nats that z [N, C], one draw for each clip, tells about which of the N clips it belongs to.

    mean, log_variance [N, C] of the clips. E[log q(z|x)] minus E[log q(z)], where q(z) is the mixture of all
    clips; so the result is at most log N plus noise.
    """
    clips, width = mean.shape
    entropy = 0.5 * (width * math.log(2 * math.pi) + (1 + log_variance).sum(1)).mean()
    # One row at a time: all pairs at once would take N * N * C numbers.
    mixture = torch.stack([log_density(row, mean, log_variance).logsumexp(0) for row in z]) - math.log(clips)
    return float(-entropy - mixture.mean())


def unit_variance(mean: Tensor) -> Tensor:
    """Variance [C] over a set of the clips' means [N, C]."""
    return mean.var(0, correction=1)


def active_units(mean: Tensor) -> int:
    """Dimensions of z whose mean [N, C] differs from clip to clip."""
    return int((unit_variance(mean) >= ACTIVE).sum())
