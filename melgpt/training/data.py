"""Lightning's view of the data: one dataset an epoch, made from the number of the epoch alone."""

from collections.abc import Callable
from typing import Any

import lightning
from torch.utils.data import DataLoader, Dataset


class EpochData(lightning.LightningDataModule):
    """Training data that `make_epoch(number)` builds anew for each epoch, and fixed validation data."""

    def __init__(
        self,
        make_epoch: Callable[[int], Dataset[Any]],
        valid: Dataset[Any],
        *,
        batch: int,
        valid_batch: int = 1,
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        super().__init__()
        self.make_epoch, self.valid = make_epoch, valid
        self.batch, self.valid_batch, self.collate = batch, valid_batch, collate

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        dataset = self.make_epoch(self.trainer.current_epoch)
        return DataLoader(dataset, batch_size=self.batch, collate_fn=self.collate)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.valid, batch_size=self.valid_batch, collate_fn=self.collate)
