"""Training of the codec: reconstruction, quantizer and, from a given step on, adversarial loss.

Both networks are trained by manual optimisation from one generator forward a step: the discriminator sees
the reconstruction that the generator was just judged on.
"""

from typing import Any

import lightning
import torch
from torch import Tensor

from melgpt.codec.codec import Codec
from melgpt.codec.discriminator import Discriminator
from melgpt.losses.adversarial import adaptive_weight, discriminator_loss, generator_loss
from melgpt.losses.reconstruction import mel_l1
from melgpt.nn.convolution import channels_last
from melgpt.quantizers.usage import counts, perplexity
from melgpt.training.errors import check_finite
from melgpt.training.schedule import learning_rate, optimiser, set_learning_rate
from melgpt.training.settings import CodecTraining


class CodecTask(lightning.LightningModule):
    """Lightning's view of codec and discriminator."""

    def __init__(self, codec: Codec, config: CodecTraining) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.codec, self.settings = codec, config
        self.discriminator = channels_last(Discriminator(config.discriminator))
        self._code_counts = torch.zeros(codec.codebook_size)
        self._errors: list[tuple[float, int]] = []

    @property
    def part(self) -> Codec:
        """What is saved when training is over."""
        return self.codec

    def batches_done(self) -> int:
        """Batches since the start, over all epochs."""
        return self.trainer.fit_loop.epoch_loop.total_batch_idx

    def configure_optimizers(self) -> Any:
        generator = optimiser(self.codec.parameters(), self.settings)
        discriminator = optimiser(self.discriminator.parameters(), self.settings)
        return [generator, discriminator]

    def training_step(self, mel: Tensor, index: int) -> None:
        """mel [B, 1, F, N] in [0, 1]."""
        step = self.batches_done()
        values = mel.contiguous(memory_format=torch.channels_last) * 2 - 1
        quantized = self.codec.encode(values)
        reconstruction = self.codec.decode(quantized.z)
        adversarial = step >= self.settings.adversarial_start
        loss = self._generator_step(values, reconstruction, quantized.loss, adversarial)
        check_finite(loss, "codec", step)
        if adversarial:
            check_finite(
                self._discriminator_step(values, reconstruction.detach()), "codec discriminator", step
            )
        self.log_dict({f"train/{name}": value for name, value in quantized.metrics.items()})
        self.log("learning_rate", learning_rate(step, self.settings))

    def _generator_step(
        self, values: Tensor, reconstruction: Tensor, quantizer_loss: Tensor, adversarial: bool
    ) -> Tensor:
        l1 = mel_l1(reconstruction, values)
        loss = l1 + self.settings.quantizer_weight * quantizer_loss
        # In units of the [0, 1] mel, as all reported errors.
        self.log_dict({"train/l1": l1.detach() / 2, "train/quantizer_loss": quantizer_loss.detach()})
        if adversarial:
            self.discriminator.requires_grad_(False)
            fooled = generator_loss(self.discriminator(reconstruction))
            last_layer = self.codec.decoder.conv_out.weight
            weight = adaptive_weight(l1, fooled, last_layer, self.settings.adversarial_limit)
            weight = weight * self.settings.adversarial_weight
            loss = loss + weight * fooled
            self.discriminator.requires_grad_(True)
            self.log_dict({"train/generator_loss": fooled.detach(), "train/adversarial_weight": weight})
        self.log("train/loss", loss.detach())
        self._step(0, self.codec, loss)
        return loss

    def _discriminator_step(self, values: Tensor, reconstruction: Tensor) -> Tensor:
        real, fake = self.discriminator(values), self.discriminator(reconstruction)
        loss = discriminator_loss(real, fake)
        self.log_dict(
            {
                "train/discriminator_loss": loss.detach(),
                "train/logits_real": real.detach().mean(),
                "train/logits_fake": fake.detach().mean(),
            }
        )
        self._step(1, self.discriminator, loss)
        return loss

    def _step(self, number: int, network: torch.nn.Module, loss: Tensor) -> None:
        optimizer: Any = self.optimizers()[number]  # type: ignore[index]
        set_learning_rate(optimizer, self.batches_done(), self.settings)
        optimizer.zero_grad()
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), self.settings.clip_norm)
        optimizer.step()

    def on_validation_epoch_start(self) -> None:
        self._code_counts.zero_()
        self._errors.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Whole clips, one at a time: mel [1, 1, F, N] and its true number of frames."""
        mel, frames = batch
        codes = self.codec.encode(mel * 2 - 1).codes
        restored = self.codec.detokenize(codes)[:, None]
        true = int(frames)
        error = mel_l1(restored[..., :true], mel[..., :true])
        self._errors.append((float(error), true))
        self._code_counts += counts(codes.cpu(), self.codec.codebook_size)

    def on_validation_epoch_end(self) -> None:
        frames = sum(n for _, n in self._errors)
        used = int((self._code_counts > 0).sum())
        self.log_dict(
            {
                "val/l1": sum(error * n for error, n in self._errors) / max(frames, 1),
                "val/perplexity": perplexity(self._code_counts),
                "val/codes_used": float(used),
                "val/dead_codes": float(self.codec.codebook_size - used),
            }
        )
