"""The straight-through estimator (Bengio et al. 2013, https://arxiv.org/abs/1308.3432)."""

from torch import Tensor


def straight_through(value: Tensor, gradient_of: Tensor) -> Tensor:
    """`value` going forward, the gradient of `gradient_of` going back."""
    return gradient_of + (value - gradient_of).detach()
