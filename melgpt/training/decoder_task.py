"""Training of a mel decoder: from the real mels and what a finished codec makes of them."""

from typing import Any

import torch
from torch import Tensor

from melgpt.codec.codec import Codec
from melgpt.decoders.base import MelDecoder
from melgpt.training.errors import check_finite
from melgpt.training.portions import Portions, Probe
from melgpt.training.schedule import learning_rate, optimiser, set_learning_rate
from melgpt.training.settings import DecoderTraining
from melgpt.training.stage_task import StageTask


class DecoderTask(StageTask):
    """Lightning's view of a decoder behind a codec that stays as it is."""

    settings: DecoderTraining

    def __init__(self, decoder: MelDecoder, config: DecoderTraining, codec: Codec) -> None:
        super().__init__()
        self.decoder, self.settings, self.portions = decoder, config, Portions()
        # In a tuple, which hides it from Lightning: neither averaged, saved nor put in training mode.
        self._codec = (codec.eval().requires_grad_(False),)
        self._losses: list[Tensor] = []

    @property
    def part(self) -> MelDecoder:
        """What is saved when training is over."""
        return self.decoder

    def configure_optimizers(self) -> Any:
        return optimiser(self.decoder.parameters(), self.settings)

    def training_step(self, mel: Tensor, index: int) -> Tensor:
        """mel [B, 1, F, N] in [0, 1]."""
        step = self.batches_done()
        loss = self._loss(mel[:, 0]).mean()
        check_finite(loss, "decoder", step)
        set_learning_rate(self.trainer.optimizers[0], step, self.settings)
        self.log_dict({"train/loss": loss.detach(), "learning_rate": learning_rate(step, self.settings)})
        return loss

    def probes(self, batch: Tensor) -> list[Probe]:
        """A step on a batch [B, 1, F, N]."""
        return [lambda: self._loss(batch[:, 0]).mean()]

    def _loss(self, mel: Tensor) -> Tensor:
        """mel [B, F, N] → the decoder's loss of each clip [B]."""
        return self.portions(self.decoder.loss, mel, *self.seen(mel))

    @torch.no_grad()
    def seen(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder gets of a real mel [B, F, N]: the codec's mel [B, F, N] and z [B, D, H, W]."""
        codec = self._codec[0].to(mel.device)
        z = codec.quantizer.lookup(codec.tokenize(mel))
        return codec.mel_of(z)[..., : mel.shape[-1]], z

    def on_validation_epoch_start(self) -> None:
        self._losses.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Whole clips, one at a time: mel [1, 1, F, N]. The same noise and moments each time."""
        mel, _ = batch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(index)
            self._losses.append(self.decoder.loss(mel[:, 0], *self.seen(mel[:, 0])).mean())

    def on_validation_epoch_end(self) -> None:
        self.log("val/loss", torch.stack(self._losses).mean())
