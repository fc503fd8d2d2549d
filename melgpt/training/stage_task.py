"""What the tasks of the stages have in common; tasks of two networks against each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from melgpt.training.schedule import set_learning_rate
from melgpt.training.settings import StageTraining


class StageTask(lightning.LightningModule):
    """Lightning's view of a part that is trained as `settings` say."""

    settings: StageTraining

    @property
    def part(self) -> Any:
        """What is saved when training is over."""
        raise NotImplementedError

    def batches_done(self) -> int:
        """Batches since the start, over all epochs."""
        return self.trainer.fit_loop.epoch_loop.total_batch_idx

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        # Not Lightning's own: it refuses a fused optimiser in mixed precision, though bf16 scales nothing.
        clip_grad_norm_(self.part.parameters(), self.settings.clip_norm)


class AdversarialTask(StageTask):
    """A generator and a discriminator, optimised by hand from one forward pass of the generator a step."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def _step(self, number: int, network: nn.Module, loss: Tensor) -> None:
        """A step of the optimiser of this number on the network that it belongs to."""
        optimizer: Any = self.optimizers()[number]  # type: ignore[index]
        set_learning_rate(optimizer, self.batches_done(), self.settings)
        optimizer.zero_grad()
        self.manual_backward(loss)
        clip_grad_norm_(network.parameters(), self.settings.clip_norm)
        optimizer.step()


@contextmanager
def fixed(network: nn.Module) -> Iterator[None]:
    """Until the end of the block no gradients for its weights, which would be thrown away.

    Where portions are worked off (`training.portions`) the backward pass belongs into the block: it goes
    through the network once more.
    """
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
