"""Training of a classifier of mels: the class, by cross-entropy with smoothed targets."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.gpt.model import weight_decay_groups
from melgpt.training.errors import check_finite
from melgpt.training.schedule import learning_rate, optimiser, set_learning_rate
from melgpt.training.settings import ClassifierTraining
from melgpt.training.stage_task import StageTask


class ClassifierTask(StageTask):
    """Lightning's view of a classifier."""

    settings: ClassifierTraining

    def __init__(self, classifier: torch.nn.Module, config: ClassifierTraining) -> None:
        super().__init__()
        self.classifier, self.settings = classifier, config
        self._right: list[Tensor] = []

    @property
    def part(self) -> torch.nn.Module:
        """What is saved when training is over."""
        return self.classifier

    def configure_optimizers(self) -> Any:
        return optimiser(weight_decay_groups(self.classifier, self.settings.weight_decay), self.settings)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Mels [B, F, N] in [0, 1] and their classes [B]."""
        mel, label = batch
        logits = self.classifier(mel).float()
        loss = F.cross_entropy(logits, label, label_smoothing=self.settings.label_smoothing)
        step = self.batches_done()
        set_learning_rate(self.trainer.optimizers[0], step, self.settings)
        check_finite(loss, "classifier", step)
        self.log_dict(
            {
                "train/loss": loss.detach(),
                "train/accuracy": (logits.argmax(1) == label).float().mean(),
                "learning_rate": learning_rate(step, self.settings),
            }
        )
        return loss

    def on_validation_epoch_start(self) -> None:
        self._right.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        mel, label = batch
        self._right.append(self.classifier(mel).argmax(1) == label)

    def on_validation_epoch_end(self) -> None:
        self.log("val/error", 1 - torch.cat(self._right).float().mean())
