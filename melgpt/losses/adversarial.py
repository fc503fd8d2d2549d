"""GAN losses and the adaptive weight (Esser et al. 2021, https://arxiv.org/abs/2012.09841).

Hinge: Lim and Ye 2017, https://arxiv.org/abs/1705.02894. Vanilla: Goodfellow et al. 2014,
https://arxiv.org/abs/1406.2661, on logits.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

AdversarialKind = Literal["hinge", "vanilla"]


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Small where the discriminator takes the reconstruction for real."""
    return -fake_logits.mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, kind: AdversarialKind = "hinge") -> Tensor:
    """hinge: real logits above 1 and fake ones below -1 cost nothing; vanilla: all cost something."""
    if kind == "vanilla":
        return 0.5 * (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean())
    return 0.5 * (F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean())


def adaptive_weight(
    reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor, limit: float, *, least: float = 0.0
) -> Tensor:
    """Ratio of the losses' gradient norms at the decoder's last layer, within [least, limit], detached."""
    (of_reconstruction,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (of_adversarial,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    return (of_reconstruction.norm() / (of_adversarial.norm() + 1e-4)).clamp(least, limit).detach()


# The same of each clip [B], for logits [B, 1, …] of one judge of sounds.


def generator_losses(fake_logits: Tensor) -> Tensor:
    return -fake_logits.flatten(1).mean(1)


def discriminator_losses(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    hinges = F.relu(1 - real_logits).flatten(1).mean(1), F.relu(1 + fake_logits).flatten(1).mean(1)
    return 0.5 * (hinges[0] + hinges[1])


def feature_distances(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """L1 between the maps [B, …] that real and fake clips leave in each judge, but for its logits: [B].

    Mean over layers and judges (Larsen et al. 2015, https://arxiv.org/abs/1512.09300).
    """
    judges = [
        torch.stack(
            [(a.detach() - b).abs().flatten(1).mean(1) for a, b in zip(ours[:-1], theirs[:-1], strict=True)]
        )
        for ours, theirs in zip(real, fake, strict=True)
    ]
    return torch.stack([distances.mean(0) for distances in judges]).mean(0)
