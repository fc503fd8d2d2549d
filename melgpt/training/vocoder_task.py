"""Training of a vocoder: distances of spectra and mels and, from a given step on, discriminators.

Both networks are trained by manual optimisation from one generator forward a step, as the codec is.
"""

from typing import Any

import torch
from torch import Tensor

from melgpt import registry
from melgpt.losses.adversarial import discriminator_losses, feature_distances, generator_losses
from melgpt.losses.spectra import MelLoss, level_distance, spectral_distances
from melgpt.training.errors import check_finite
from melgpt.training.heard_mels import HeardMels
from melgpt.training.portions import Portions, Probe
from melgpt.training.schedule import learning_rate, optimiser
from melgpt.training.settings import VocoderTraining
from melgpt.training.stage_task import AdversarialTask, fixed


class VocoderTask(AdversarialTask):
    """Lightning's view of vocoder and discriminators."""

    settings: VocoderTraining

    def __init__(self, vocoder: Any, config: VocoderTraining, *heard_through: Any) -> None:
        """heard_through: codec and decoder of the last `codec_steps`, see HeardMels; none: real mels."""
        super().__init__()
        self.vocoder, self.settings, self.portions = vocoder, config, Portions()
        self.discriminator = registry.build("discriminator", config.discriminator)
        self.mel_loss = MelLoss(vocoder.scale)
        self.mels = HeardMels(self.mel_loss, config, *heard_through)
        self._seen: list[Tensor] = []

    @property
    def part(self) -> Any:
        """What is saved when training is over."""
        return self.vocoder

    def configure_optimizers(self) -> Any:
        return [optimiser(net.parameters(), self.settings) for net in (self.vocoder, self.discriminator)]

    def training_step(self, samples: Tensor, index: int) -> None:
        """samples [B, hop * N + n_fft], half a window longer at both ends than what is made of them."""
        step = self.batches_done()
        adversarial = step >= self.settings.adversarial_start
        real = self._inner(samples)
        with fixed(self.discriminator):
            made = self.portions(self.vocoder, self.mels(samples, step))
            loss, shown = self._loss(made, real, adversarial)
            check_finite(loss, "vocoder", step)
            self._step(0, self.vocoder, loss)
        if adversarial:
            verdict = self.portions(self._verdict, real, made.detach()).mean()
            check_finite(verdict, "vocoder discriminators", step)
            self._step(1, self.discriminator, verdict)
            shown["discriminator_loss"] = verdict
        self.log_dict({f"train/{name}": value.detach() for name, value in {**shown, "loss": loss}.items()})
        self.log("learning_rate", learning_rate(step, self.settings))

    def probes(self, batch: Tensor) -> list[Probe]:
        """Both halves of a step on a batch, with everything that may take part."""
        real = self._inner(batch)
        adversarial = self.settings.adversarial_start < self.settings.steps

        def generator() -> object:
            with fixed(self.discriminator):
                made = self.portions(self.vocoder, self.mels(batch, self.settings.steps))
                return self._loss(made, real, adversarial)

        def judges() -> object:
            return self.portions(self._verdict, real, real).mean()

        return [generator, *[judges] * adversarial]

    def _inner(self, samples: Tensor) -> Tensor:
        half = self.vocoder.scale.n_fft // 2
        return samples[:, half:-half]

    def _loss(self, made: Tensor, real: Tensor, adversarial: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """What the vocoder is to make small, and its terms."""
        weights = self.settings
        spectral, band, mel, level = self.portions(self._distances, made, real).mean(0)
        loss = weights.spectral_weight * spectral + weights.band_weight * band
        loss = loss + weights.mel_weight * mel + weights.level_weight * level
        shown = {"spectral": spectral, "band": band, "mel_l1": mel, "level": level}
        if adversarial:
            generator, features = self.portions(self._likeness, made, real).mean(0)
            loss = loss + weights.adversarial_weight * generator + weights.feature_weight * features
            shown.update(generator_loss=generator, feature_distance=features)
        return loss, shown

    def _distances(self, made: Tensor, real: Tensor) -> Tensor:
        """Of each clip [B, 4]: distance of spectra, the same in the mel's band, L1 of mels, levels' error."""
        scale = self.vocoder.scale
        spectral, band = spectral_distances(made, real, scale.rate, (None, (scale.f_min, scale.f_max)))
        level = level_distance(made, real, scale.rate)
        return torch.stack([spectral, band, self.mel_loss(made, real), level], dim=1)

    def _likeness(self, made: Tensor, real: Tensor) -> Tensor:
        """Of each clip: how little the discriminators believe it, what sets it apart for them; [B, 2]."""
        fakes = self.discriminator(made)
        with torch.no_grad():
            reals = self.discriminator(real)
        verdicts = torch.stack([generator_losses(maps[-1]) for maps in fakes]).mean(0)
        return torch.stack([verdicts, feature_distances(reals, fakes)], dim=1)

    def _verdict(self, real: Tensor, made: Tensor) -> Tensor:
        """The discriminators' loss of each clip [B]."""
        both = zip(self.discriminator(real), self.discriminator(made), strict=True)
        return torch.stack([discriminator_losses(a[-1], b[-1]) for a, b in both]).mean(0)

    def on_validation_epoch_start(self) -> None:
        self._seen.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Whole clips, one at a time: mel [1, F, N] and samples [1, hop * N]."""
        mel, real = batch
        self._seen.append(self._distances(self.vocoder(mel), real)[0].cpu())

    def on_validation_epoch_end(self) -> None:
        whole, band, error, level = torch.stack(self._seen).mean(0)
        self.log("val/distance", (whole + band) / 2)
        self.log_dict({"val/whole_band": whole, "val/in_band": band, "val/mel_l1": error, "val/level": level})
