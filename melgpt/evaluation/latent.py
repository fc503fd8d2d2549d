"""What z carries: density, mutual information with the sound, units in use.

Mutual information as Hoffman and Johnson 2016 (ELBO surgery, http://approximateinference.org/accepted/
HoffmanJohnson2016.pdf); active units as Burda et al. 2016, https://arxiv.org/abs/1509.00519.
"""

import math

import torch
from torch import Tensor

from melgpt.gpt.vae import GPTVAE
from melgpt.losses.kl import kl_per_dimension

BATCH = 16
ROWS = 256
"""Rows of the table of all pairs that are held at a time."""
ACTIVE = 0.01
"""Variance of a unit's mean over a set from which on it counts as active."""


def mutual_information(mean: Tensor, log_variance: Tensor, z: Tensor) -> float:
    """Nats that z [N, C], one draw for each clip, tells about which of the N clips it belongs to.

    mean, log_variance [N, C] of the clips. E[log q(z|x)] minus E[log q(z)], where q(z) is the mixture of all
    clips; so the result is at most log N plus noise.
    """
    clips, width = mean.shape
    entropy = 0.5 * (width * math.log(2 * math.pi) + (1 + log_variance).sum(1)).mean()
    # All pairs as products of matrices: log N(z; m, v) = -(z²/v - 2 z m/v + m²/v + …) / 2.
    precision, mean, z = (-log_variance.double()).exp(), mean.double(), z.double()
    constant = (mean.square() * precision + log_variance).sum(1) + width * math.log(2 * math.pi)
    weighted = mean * precision
    pairs = (part.square() @ precision.T - 2 * part @ weighted.T + constant for part in z.split(ROWS))
    mixture = torch.cat([(-0.5 * rows).logsumexp(1) for rows in pairs]) - math.log(clips)
    return float(-entropy - mixture.mean())


def unit_variance(mean: Tensor) -> Tensor:
    """Variance [C] over a set of the clips' means [N, C]."""
    return mean.var(0, correction=1)


def active_units(mean: Tensor) -> int:
    """Dimensions of z whose mean [N, C] differs from clip to clip."""
    return int((unit_variance(mean) >= ACTIVE).sum())


@torch.inference_mode()
def vae_measures(vae: GPTVAE, tokens: Tensor, seed: int = 0) -> dict[str, float]:
    """What z keeps of whole sounds, tokens [N, S], beside what another sound's z tells of them.

    Each clip has one z, drawn from the encoder's distribution. Bits are those of a token.
    """
    device = vae.decoder.head.weight.device
    encoded = [vae.encode(part.to(device)) for part in tokens.split(BATCH)]
    # On the CPU: some devices know no float64.
    mean, log_variance = (torch.cat(parts).cpu() for parts in zip(*encoded, strict=True))
    z = vae.draw(mean, log_variance, torch.Generator().manual_seed(seed))
    told, other = (_error(vae, tokens, vectors, device) for vectors in (z, z.roll(1, 0)))
    kl = float(kl_per_dimension(mean, log_variance).sum(1).mean())
    bit = math.log(2) * tokens.shape[1]
    return {
        "bits_per_token": told / bit,
        "other_z_bits": other / bit,
        "bound_bits_per_token": (told + kl) / bit,
        "kl": kl,
        "mutual_information": mutual_information(mean, log_variance, z),
        "active_units": active_units(mean),
        "units": vae.latent,
    }


def _error(vae: GPTVAE, tokens: Tensor, z: Tensor, device: torch.device) -> float:
    """Mean reconstruction error in nats a clip of tokens [N, S], given z [N, C], both on the CPU."""
    parts = zip(tokens.split(BATCH), z.split(BATCH), strict=True)
    return float(torch.cat([vae.error(part.to(device), given.to(device)) for part, given in parts]).mean())
