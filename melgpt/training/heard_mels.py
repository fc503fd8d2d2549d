"""The mels that a vocoder learns from: of real sounds, in the last steps half through codec and decoder."""

import torch
from torch import Tensor

from melgpt.codec.codec import Codec
from melgpt.decoders.base import MelDecoder
from melgpt.losses.spectra import MelLoss
from melgpt.training.settings import VocoderTraining


class HeardMels:
    """`mels(samples, step)`: what it sees of such sounds at a step."""

    def __init__(
        self,
        mel: MelLoss,
        settings: VocoderTraining,
        codec: Codec | None = None,
        decoder: MelDecoder | None = None,
    ) -> None:
        """codec and decoder: what the last `codec_steps` are heard through; they stay as they are, and are no
        parts of this. decoder: None where the codec's mels are heard."""
        self.mel, self.settings = mel, settings
        self.codec = None if codec is None else codec.eval().requires_grad_(False)
        self.decoder = None if decoder is None else decoder.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, samples: Tensor, step: int) -> Tensor:
        """Samples [B, hop * N + n_fft] → mels [B, F, N] of the first N frames that lie wholly within."""
        mel = self.mel.mel(samples)[..., : self.settings.crop_frames]
        if self.codec is not None and step >= self.settings.steps - self.settings.codec_steps:
            half = len(mel) // 2 or 1
            codec = self.codec.to(samples.device)
            z = codec.quantizer.lookup(codec.tokenize(mel[:half]))
            heard = codec.mel_of(z)
            if self.decoder is not None:
                heard = self.decoder.to(samples.device).refine(heard, z, torch.randn_like(heard))
            mel[:half] = heard[..., : mel.shape[-1]].clamp(0, 1)
        return mel
