"""What the codec is trained to make small, as one function of what its networks gave.

Iashin and Rahtu 2021, https://arxiv.org/abs/2110.08791, after Esser et al. 2021, https://arxiv.org/abs/2012.09841.
"""

from dataclasses import dataclass

from torch import Tensor

from melgpt.losses.adversarial import adaptive_weight, generator_loss
from melgpt.losses.reconstruction import mel_l1


@dataclass(frozen=True)
class CodecLossWeights:
    """How much each term counts."""

    quantizer: float = 1.0
    perceptual: float = 0.0
    adversarial: float = 0.8
    """Factor on the adaptive weight, after it was kept within its bounds."""
    adversarial_least: float = 0.0
    """Smallest adaptive weight; equal to the limit it is constant."""
    adversarial_limit: float = 1.0
    """Largest adaptive weight."""


@dataclass(frozen=True)
class CodecLoss:
    """The sum and its terms; the terms are not yet weighted. None where a term takes no part."""

    total: Tensor
    l1: Tensor
    fidelity: Tensor
    """L1 and weighted perceptual distance together: what the adversarial loss is weighed against."""
    quantizer: Tensor
    perceptual: Tensor | None = None
    adversarial: Tensor | None = None
    adversarial_weight: Tensor | None = None
    """What the adversarial loss was multiplied with."""


def codec_loss(
    values: Tensor,
    reconstruction: Tensor,
    quantizer_loss: Tensor,
    *,
    last_layer: Tensor,
    weights: CodecLossWeights,
    perceptual_distance: Tensor | None = None,
    fake_logits: Tensor | None = None,
    adversarial_factor: float = 1.0,
) -> CodecLoss:
    """The codec's loss of one batch.

    values and reconstruction: [B, 1, F, N] in [-1, 1]; last_layer: weight of the decoder's last convolution.
    perceptual_distance: [B]. fake_logits: the discriminator's of the reconstruction, None while it takes no
    part. adversarial_factor: 0 reports the adversarial terms without letting them count.
    """
    l1 = mel_l1(reconstruction, values)
    perceptual = None if perceptual_distance is None else perceptual_distance.mean()
    fidelity = l1 if perceptual is None else l1 + weights.perceptual * perceptual
    total = fidelity + weights.quantizer * quantizer_loss
    if fake_logits is None:
        return CodecLoss(total, l1, fidelity, quantizer_loss, perceptual)
    adversarial = generator_loss(fake_logits)
    ratio = adaptive_weight(
        fidelity, adversarial, last_layer, weights.adversarial_limit, least=weights.adversarial_least
    )
    weight = ratio * weights.adversarial
    total = total + adversarial_factor * weight * adversarial
    return CodecLoss(total, l1, fidelity, quantizer_loss, perceptual, adversarial, weight)
