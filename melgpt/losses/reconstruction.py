"""How far a reconstructed mel is from the true one."""

from torch import Tensor


def mel_l1(values: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of two spectrograms of equal shape."""
    return (values - target).abs().mean()
