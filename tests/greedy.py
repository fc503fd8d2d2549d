"""The likeliest tokens of all classes, as sampling at temperature 0 writes them."""

import torch
from torch import Tensor

from melgpt.gpt.sampling import Sampling, random_streams, sample
from melgpt.pipeline import SoundModel


def greedy(model: SoundModel) -> Tensor:
    """[classes, length] on the CPU."""
    prior = model.prior
    labels = torch.arange(len(model.labels), device=model.device)
    rows = sample(
        prior.gpt,
        prior.prefix(labels),
        prior.conditioning.nothing(len(labels)),
        length=prior.length,
        end=None,
        rows=prior.config.rows,
        sampling=Sampling(temperature=0.0),
        streams=random_streams(0, len(labels)),
    )
    return torch.stack(rows).cpu()
