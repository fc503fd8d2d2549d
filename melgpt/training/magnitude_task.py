"""Training of a vocoder of spectra by its magnitudes alone: those of the real sound behind a mel.

Several times as cheap as through the sound, and nothing that later steps mend is taken for a fault of theirs.
"""

from typing import Any

import torch
from torch import Tensor

from melgpt.audio.mel import mel_filterbank
from melgpt.losses.spectra import FLOOR, MelLoss
from melgpt.training.errors import check_finite
from melgpt.training.heard_mels import HeardMels
from melgpt.training.portions import Portions, Probe
from melgpt.training.schedule import learning_rate, optimiser, set_learning_rate
from melgpt.training.settings import VocoderTraining
from melgpt.training.stage_task import StageTask

OUTSIDE = 0.5
"""Weight of the bins that no band of the mel tells of, beside that of all others."""


class MagnitudeTask(StageTask):
    """Lightning's view of a vocoder that has `magnitudes`."""

    settings: VocoderTraining
    bins: Tensor

    def __init__(self, vocoder: Any, config: VocoderTraining, *heard_through: Any) -> None:
        """heard_through: codec and decoder of the last `codec_steps`, see HeardMels; none: real mels."""
        super().__init__()
        self.vocoder, self.settings, self.portions = vocoder, config, Portions()
        self.mel_loss = MelLoss(vocoder.scale)
        self.mels = HeardMels(self.mel_loss, config, *heard_through)
        told = mel_filterbank(vocoder.scale).sum(0) > 0
        weights = told / told.sum() + OUTSIDE * ~told / (~told).sum().clamp(min=1)
        self.register_buffer("bins", weights, persistent=False)
        self._seen: list[Tensor] = []

    @property
    def part(self) -> Any:
        """What is saved when training is over."""
        return self.vocoder

    def configure_optimizers(self) -> Any:
        return optimiser(self.vocoder.parameters(), self.settings)

    def training_step(self, samples: Tensor, index: int) -> Tensor:
        """samples [B, hop * N + n_fft], half a window longer at both ends than the N frames."""
        step = self.batches_done()
        loss = self.portions(self._distance, self.mels(samples, step), samples).mean()
        set_learning_rate(self.trainer.optimizers[0], step, self.settings)
        check_finite(loss, "vocoder", step)
        self.log_dict({"train/loss": loss.detach(), "learning_rate": learning_rate(step, self.settings)})
        return loss

    def probes(self, batch: Tensor) -> list[Probe]:
        """A step on a batch."""

        def step() -> object:
            return self.portions(self._distance, self.mels(batch, self.settings.steps), batch).mean()

        return [step]

    def _distance(self, mel: Tensor, samples: Tensor) -> Tensor:
        """Mels [B, F, N] and the sounds behind them → what the magnitudes lack [B].

        The L1 of their logarithms, and their spectral convergence, which hears the loud ones.
        """
        made = self.vocoder.magnitudes(mel).clamp(min=FLOOR)
        real = self._real(samples)[:, : made.shape[1]]
        soft = ((made.log() - real.log()).abs() * self.bins).sum(-1).mean(1)
        error, size = (torch.linalg.vector_norm(part, dim=(1, 2)) for part in (made - real, real))
        return soft + error / size

    def _real(self, samples: Tensor) -> Tensor:
        """Magnitudes [B, N, bins] of the frames that lie wholly within the samples."""
        scale, window = self.vocoder.scale, self.mel_loss.window
        spectrum = torch.stft(
            samples, scale.n_fft, scale.hop, window=window, center=False, return_complex=True
        )
        return spectrum.abs().clamp(min=FLOOR).transpose(1, 2)

    def on_validation_epoch_start(self) -> None:
        self._seen.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Whole clips, one at a time: mel [1, F, N] and samples [1, hop * N]."""
        mel, samples = batch
        half = self.vocoder.scale.n_fft // 2
        self._seen.append(self._distance(mel, torch.nn.functional.pad(samples, (half, half)))[0])

    def on_validation_epoch_end(self) -> None:
        self.log("val/distance", torch.stack(self._seen).mean())
