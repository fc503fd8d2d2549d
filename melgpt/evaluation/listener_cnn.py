"""A listener of convolutions alone: the map becomes small, then the mean over bands and the mean and the
maximum over time."""

import torch
from torch import Tensor, nn

from melgpt.evaluation.listener import Listener, ListenerConfig, convolution, first_layer


class ListenerCNNConfig(ListenerConfig):
    """Convolutions; the map has a quarter, a half and at last all of `width` channels."""

    kind: str = "listener_cnn"
    """Registered name of the classifier."""


class ListenerCNN(Listener):
    """Mels [B, F, N] in [0, 1] → logits [B, classes]."""

    Config = ListenerCNNConfig

    def __init__(self, config: ListenerCNNConfig) -> None:
        super().__init__(config)
        width = config.width
        self.map = nn.Sequential(
            first_layer(width // 4),
            convolution(width // 4, width // 2, 2),
            convolution(width // 2, width // 2),
            convolution(width // 2, width, 2),
            convolution(width, width),
        )
        self.join = nn.Linear(2 * width, width)

    def embed(self, values: Tensor) -> Tensor:
        over_bands = self.map(values).mean(2)
        return torch.relu(self.join(torch.cat([over_bands.mean(2), over_bands.amax(2)], dim=1)))
