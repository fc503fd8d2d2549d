"""Training of the codec: reconstruction, quantizer and, from a given step on, adversarial loss.

The loss itself is `losses.codec`.

Both networks are trained by manual optimisation from one generator forward a step: the discriminator sees
the reconstruction that the generator was just judged on.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt import registry
from melgpt.codec.codec import Codec
from melgpt.losses.adversarial import discriminator_loss
from melgpt.losses.codec import CodecLoss, codec_loss
from melgpt.losses.perceptual import Perceptual
from melgpt.losses.reconstruction import mel_l1
from melgpt.quantizers.usage import counts, perplexity
from melgpt.training.errors import check_finite
from melgpt.training.layout import lay_out
from melgpt.training.portions import Portions, Probe
from melgpt.training.schedule import learning_rate, optimiser
from melgpt.training.settings import CodecTraining
from melgpt.training.stage_task import AdversarialTask, fixed
from melgpt.types import Quantized


class CodecTask(AdversarialTask):
    """Lightning's view of codec and discriminator."""

    settings: CodecTraining

    def __init__(self, codec: Codec, config: CodecTraining, perceptual: Perceptual | None = None) -> None:
        """perceptual: the network of the perceptual loss, which stays as it is."""
        super().__init__()
        self.codec, self.settings, self.portions = codec, config, Portions()
        self.discriminator = registry.build("discriminator", config.discriminator, bands=codec.scale.n_mels)
        # In a tuple, which hides it from Lightning: neither averaged, saved nor put in training mode.
        self._judges = () if perceptual is None else (perceptual.eval().requires_grad_(False),)
        wanted = getattr(codec.config.quantizer, "restart", False)
        self._restarts = bool(wanted) and hasattr(codec.quantizer, "restart_unused")
        self._last_values: Tensor | None = None
        self._code_counts = torch.zeros(codec.codebook_size)
        self._errors: list[tuple[float, int]] = []

    @property
    def part(self) -> Codec:
        """What is saved when training is over."""
        return self.codec

    def configure_optimizers(self) -> Any:
        generator = optimiser(self.codec.parameters(), self.settings)
        discriminator = optimiser(self.discriminator.parameters(), self.settings)
        return [generator, discriminator]

    def on_train_start(self) -> None:
        lay_out(self, self.codec, self.discriminator)

    def training_step(self, mel: Tensor, index: int) -> None:
        """mel [B, 1, F, N] in [0, 1]."""
        step = self.batches_done()
        values = mel.contiguous(memory_format=self.codec.layout) * 2 - 1
        quantized, reconstruction = self._reconstruct(values)
        adversarial = step >= self.settings.adversarial_start
        loss = self._loss(values, reconstruction, quantized.loss, adversarial)
        self._log_loss(loss)
        self._step(0, self.codec, loss.total)
        check_finite(loss.total, "codec", step)
        if adversarial:
            check_finite(
                self._discriminator_step(values, reconstruction.detach()), "codec discriminator", step
            )
        self.log_dict({f"train/{name}": value for name, value in quantized.metrics.items()})
        self.log("learning_rate", learning_rate(step, self.settings))
        self._last_values = values if self._restarts else None

    def _reconstruct(self, values: Tensor) -> tuple[Quantized, Tensor]:
        """values [B, 1, F, N] through the codec; what needs most memory goes in portions of the batch."""
        quantized = self.codec.quantize(self.portions(self.codec.latent, values))
        return quantized, self.codec.decoder.finish(self.portions(self._approach, quantized.z))

    def _approach(self, z: Tensor) -> Tensor:
        return self.codec.decoder.approach(self.codec.after(z))

    def probes(self, batch: Tensor) -> list[Probe]:
        """Both halves of a step on a batch [B, 1, F, N] in [0, 1], with everything that may take part."""
        values = batch.contiguous(memory_format=self.codec.layout) * 2 - 1
        adversarial = self.settings.adversarial_start < self.settings.steps

        def generator() -> object:
            quantized, reconstruction = self._reconstruct(values)
            return self._loss(values, reconstruction, quantized.loss, adversarial)

        return [generator, *[partial(self._judge, values, values)] * adversarial]

    def _loss(
        self, values: Tensor, reconstruction: Tensor, quantizer_loss: Tensor, adversarial: bool
    ) -> CodecLoss:
        distances = [self.portions(judge.to(self.device), reconstruction, values) for judge in self._judges]
        with fixed(self.discriminator):
            return codec_loss(
                values,
                reconstruction,
                quantizer_loss,
                last_layer=self.codec.decoder.conv_out.weight,
                weights=self.settings.weights,
                perceptual_distance=distances[0] if distances else None,
                fake_logits=self._logits(reconstruction) if adversarial else None,
            )

    def _log_loss(self, loss: CodecLoss) -> None:
        shown = {
            # In units of the [0, 1] mel, as all reported errors.
            "l1": loss.l1 / 2,
            "quantizer_loss": loss.quantizer,
            "perceptual_loss": loss.perceptual,
            "generator_loss": loss.adversarial,
            "adversarial_weight": loss.adversarial_weight,
            "loss": loss.total,
        }
        self.log_dict({f"train/{name}": value.detach() for name, value in shown.items() if value is not None})

    def _discriminator_step(self, values: Tensor, reconstruction: Tensor) -> Tensor:
        loss, real, fake = self._judge(values, reconstruction)
        self.log_dict(
            {
                "train/discriminator_loss": loss.detach(),
                "train/logits_real": real.detach().mean(),
                "train/logits_fake": fake.detach().mean(),
            }
        )
        self._step(1, self.discriminator, loss)
        return loss

    def _judge(self, values: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The discriminator's loss, its logits of the real ones and of the fake ones."""
        real, fake = self._logits(values), self._logits(reconstruction)
        return discriminator_loss(real, fake, self.settings.adversarial_loss), real, fake

    def _logits(self, values: Tensor) -> Tensor:
        """The discriminator's of values [B, 1, F, N]; silence follows those that are too short for it."""
        missing = self.settings.discriminator.least_frames - values.shape[-1]
        return self.discriminator(F.pad(values, (0, missing), value=-1.0) if missing > 0 else values)

    @torch.no_grad()
    def on_train_epoch_end(self) -> None:
        """Restart the codes that this epoch did not use from its last batch, where the quantizer wants it."""
        if self._last_values is None:
            return
        generator = torch.manual_seed(hash((self.settings.seed, self.current_epoch)) % (1 << 63))
        z = self.codec.encode(self._last_values).z
        self.codec.quantizer.restart_unused(z, generator)
        self._last_values = None

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
