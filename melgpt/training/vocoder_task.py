"""Training of a vocoder: distances of spectra and mels and, from a given step on, discriminators.

Both networks are trained by manual optimisation from one generator forward a step, as the codec is.
"""

from typing import Any

import lightning
import torch
from torch import Tensor

from melgpt.codec.codec import Codec
from melgpt.losses.adversarial import discriminator_loss, feature_distance, generator_loss
from melgpt.losses.spectra import MelLoss, spectral_distances
from melgpt.training.errors import check_finite
from melgpt.training.schedule import learning_rate, optimiser, set_learning_rate
from melgpt.training.settings import VocoderTraining
from melgpt.vocoders.discriminators import SoundDiscriminator


class VocoderTask(lightning.LightningModule):
    """Lightning's view of vocoder and discriminators."""

    def __init__(self, vocoder: Any, config: VocoderTraining, codec: Codec | None = None) -> None:
        """codec: what the last `codec_steps` are heard through, which stays as it is."""
        super().__init__()
        self.automatic_optimization = False
        self.vocoder, self.settings = vocoder, config
        self.discriminator = SoundDiscriminator(config.discriminator)
        self.mel_loss = MelLoss(vocoder.scale)
        # In a tuple, which hides it from Lightning: neither averaged, saved nor put in training mode.
        self._codecs = () if codec is None else (codec.eval().requires_grad_(False),)
        self._seen: list[tuple[float, float, float]] = []

    @property
    def part(self) -> Any:
        """What is saved when training is over."""
        return self.vocoder

    def batches_done(self) -> int:
        """Batches since the start, over all epochs."""
        return self.trainer.fit_loop.epoch_loop.total_batch_idx

    def configure_optimizers(self) -> Any:
        return [optimiser(net.parameters(), self.settings) for net in (self.vocoder, self.discriminator)]

    def training_step(self, samples: Tensor, index: int) -> None:
        """samples [B, hop * N + n_fft], half a window longer at both ends than what is made of them."""
        step, half = self.batches_done(), self.vocoder.scale.n_fft // 2
        real = samples[:, half:-half]
        made = self.vocoder(self._mels(samples, step))
        spectral, band, mel = self._distances(made, real)
        weights = self.settings
        loss = weights.spectral_weight * spectral + weights.band_weight * band + weights.mel_weight * mel
        shown = {"spectral": spectral, "band": band, "mel_l1": mel}
        adversarial = step >= weights.adversarial_start
        if adversarial:
            self.discriminator.requires_grad_(False)
            fakes = self.discriminator(made)
            with torch.no_grad():
                reals = self.discriminator(real)
            self.discriminator.requires_grad_(True)
            verdict = torch.stack([generator_loss(maps[-1]) for maps in fakes]).mean()
            features = feature_distance(reals, fakes)
            loss = loss + weights.adversarial_weight * verdict + weights.feature_weight * features
            shown.update(generator_loss=verdict, feature_distance=features)
        check_finite(loss, "vocoder", step)
        self._step(0, self.vocoder, loss)
        if adversarial:
            shown["discriminator_loss"] = self._judge(real, made.detach(), step)
        self.log_dict({f"train/{name}": value.detach() for name, value in {**shown, "loss": loss}.items()})
        self.log("learning_rate", learning_rate(step, weights))

    @torch.no_grad()
    def _mels(self, samples: Tensor, step: int) -> Tensor:
        """Mels [B, F, N] of the batch; in the last steps half of them as they come through the codec."""
        mel = self.mel_loss.mel(samples)[..., : self.settings.crop_frames]
        for codec in self._codecs if step >= self.settings.steps - self.settings.codec_steps else ():
            half = len(mel) // 2 or 1
            heard = codec.to(self.device).detokenize(codec.tokenize(mel[:half]))
            mel[:half] = heard[..., : mel.shape[-1]].clamp(0, 1)
        return mel

    def _distances(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scale = self.vocoder.scale
        bands = (None, (scale.f_min, scale.f_max))
        spectral, band = spectral_distances(made, real, scale.rate, bands).mean(1)
        return spectral, band, self.mel_loss(made, real)

    def _judge(self, real: Tensor, made: Tensor, step: int) -> Tensor:
        both = zip(self.discriminator(real), self.discriminator(made), strict=True)
        loss = torch.stack([discriminator_loss(ours[-1], theirs[-1]) for ours, theirs in both]).mean()
        check_finite(loss, "vocoder discriminators", step)
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
        self._seen.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Whole clips, one at a time: mel [1, F, N] and samples [1, hop * N]."""
        mel, real = batch
        spectral, band, error = self._distances(self.vocoder(mel), real)
        self._seen.append((float(spectral), float(band), float(error)))

    def on_validation_epoch_end(self) -> None:
        whole, band, error = torch.tensor(self._seen).mean(0)
        self.log("val/distance", (whole + band) / 2)
        self.log_dict({"val/whole_band": whole, "val/in_band": band, "val/mel_l1": error})
