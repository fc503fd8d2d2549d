"""The originals' training step of the codec, with their losses, optimisers and scalar names.

Kept: Adam without decay at a constant rate; the adaptive weight computed and logged from the first batch on;
two optimiser steps a batch (so `global_step` counts two), the discriminator's doing nothing before its start.
Changed: they ran the generator twice a batch, the second time for the discriminator alone; here it judges the
reconstruction that the first pass made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from torch import Tensor

from melgpt.audio.picture import mel_image
from melgpt.codec.codec import Codec
from melgpt.codec.discriminator import Discriminator, DiscriminatorConfig
from melgpt.losses.adversarial import discriminator_loss, generator_loss
from melgpt.losses.codec import CodecLossWeights, codec_loss
from melgpt.losses.reconstruction import mel_l1
from melgpt.quantizers.usage import counts
from melgpt.training.errors import check_finite
from melgpt.training.layout import lay_out
from melgpt.training.stage_task import fixed


@dataclass(frozen=True)
class SeedLosses:
    """The flags of train.py that weigh the losses."""

    learning_rate: float
    """Already multiplied by the batch size."""
    disc_start: int
    weights: CodecLossWeights


class SeedCodecTask(lightning.LightningModule):
    """Lightning's view of codec and discriminator, as the originals'."""

    def __init__(
        self,
        codec: Codec,
        discriminator: DiscriminatorConfig,
        losses: SeedLosses,
        hear: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """hear: mel [1, F, N] in [0, 1] → sound [1, T], for TensorBoard."""
        super().__init__()
        self.automatic_optimization = False
        self.codec, self.losses = codec, losses
        # In a tuple, which hides it from Lightning: neither moved to the device nor saved.
        self._ears = () if hear is None else (hear,)
        self.discriminator = Discriminator(discriminator, codec.scale.n_mels)
        self._last: Tensor | None = None
        self._hits = torch.zeros(codec.codebook_size)

    def configure_optimizers(self) -> Any:
        rate = self.losses.learning_rate
        parts = (self.codec, self.discriminator)
        return [torch.optim.Adam(part.parameters(), lr=rate, betas=(0.5, 0.9), fused=True) for part in parts]

    def on_train_start(self) -> None:
        lay_out(self, self.codec, self.discriminator)
        # A checkpoint brings the rate that it was trained with; the flag is what the user asks for.
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.losses.learning_rate

    def batches_done(self) -> int:
        """Batches since the start, over all epochs."""
        return self.trainer.fit_loop.epoch_loop.total_batch_idx

    def training_step(self, x: Tensor, index: int) -> None:
        """x [B, 1, F, N] in [-1, 1]."""
        x = x.contiguous(memory_format=self.codec.layout)
        factor = float(self.batches_done() >= self.losses.disc_start)
        quantized = self.codec.encode(x)
        restored = self.codec.decode(quantized.z)
        with fixed(self.discriminator):
            loss = codec_loss(
                x,
                restored,
                quantized.loss,
                last_layer=self.codec.decoder.conv_out.weight,
                weights=self.losses.weights,
                fake_logits=self.discriminator(restored),
                adversarial_factor=factor,
            )
        check_finite(loss.total, "codec", self.batches_done())
        self._step(0, loss.total)
        disc_loss, disc_scalars = self._discriminator_loss(x, restored.detach(), factor)
        self._step(1, disc_loss)
        named = {
            "aeloss": loss.total,
            "discriminator_loss": disc_loss,
            **_names(loss.total, loss.l1, quantized.loss, loss.adversarial, loss.adversarial_weight, factor),
            **disc_scalars,
        }
        both: dict[str, Any] = {"on_step": True, "on_epoch": True, "batch_size": len(x)}
        self.log_dict({f"train/{name}": value.detach() for name, value in named.items()}, **both)
        self.log("learning_rate", self.losses.learning_rate, **both)
        self._last = x

    @torch.no_grad()
    def on_train_epoch_end(self) -> None:
        """--cd_rand_res: unused codes get quantised vectors of the last batch."""
        if self._last is not None and getattr(self.codec.config.quantizer, "restart", False):
            generator = torch.manual_seed(self.current_epoch)
            self.codec.quantizer.restart_unused(self.codec.encode(self._last).z, generator)
        self._last = None

    def _discriminator_loss(
        self, x: Tensor, restored: Tensor, factor: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        real, fake = self.discriminator(x), self.discriminator(restored)
        loss = factor * discriminator_loss(real, fake)
        return loss, {"disc_loss": loss, "logits_real": real.mean(), "logits_fake": fake.mean()}

    def _step(self, number: int, loss: Tensor) -> None:
        optimizer: Any = self.optimizers()[number]  # type: ignore[index]
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def on_validation_epoch_start(self) -> None:
        self._hits.zero_()

    def validation_step(self, x: Tensor, index: int) -> None:
        """x [B, 1, F, N] in [-1, 1]."""
        quantized = self.codec.encode(x)
        restored = self.codec.decode(quantized.z)
        # Evaluated by itself a codec is past its start, whatever the counters say.
        fitting = self.trainer.state.fn == "fit"
        factor = float(self.batches_done() >= self.losses.disc_start) if fitting else 1.0
        nll, fooled = mel_l1(restored, x), generator_loss(self.discriminator(restored))
        # Without gradients there is no adaptive weight: the originals count it as 0 here.
        loss = nll + self.losses.weights.quantizer * quantized.loss
        _, disc_scalars = self._discriminator_loss(x, restored, factor)
        named = {**_names(loss, nll, quantized.loss, fooled, torch.zeros(()), factor), **disc_scalars}
        self.log("val/aeloss", loss, on_step=True, on_epoch=True, batch_size=len(x))
        self.log_dict({f"val/{name}": value for name, value in named.items()}, batch_size=len(x))
        self._hits += counts(quantized.codes.cpu(), len(self._hits))
        if index == 0:
            self._show("inputs", x[:1])
            self._show("reconstructions", restored[:1])

    def on_validation_epoch_end(self) -> None:
        board = self._board()
        used = torch.repeat_interleave(torch.arange(len(self._hits)), self._hits.long())
        batches = self.global_step // 2  # as the curves beside them count
        if len(used):
            board.add_histogram("val/code_hits", used, batches)
            board.add_scalar("val/zero_hit_codes", int((self._hits == 0).sum()), batches)

    def _show(self, name: str, values: Tensor) -> None:
        """A clip as picture and sound."""
        mel = ((values[:, 0].float() + 1) / 2).clamp(0, 1).cpu()
        self._board().add_image(f"images_{name}", mel_image(mel[0]), self.global_step, dataformats="HWC")
        for hear in self._ears:
            rate = self.codec.scale.rate
            self._board().add_audio(f"audio_{name}", hear(mel), self.global_step, sample_rate=rate)

    def _board(self) -> Any:
        return self.loggers[0].experiment  # type: ignore[attr-defined]


def _names(
    total: Tensor, nll: Tensor, codebook: Tensor, fooled: Any, weight: Any, factor: float
) -> dict[str, Tensor]:
    """The autoencoder's scalars by the originals' names."""
    return {
        "total_loss": total,
        "quant_loss": codebook,
        "nll_loss": nll,
        "rec_loss": nll,
        "d_weight": weight,
        "disc_factor": torch.tensor(factor),
        "g_loss": fooled,
    }
