"""How each stage is trained; what is trained is described beside the networks."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from melgpt.codec.discriminator import DiscriminatorConfig
from melgpt.config import Config
from melgpt.data.code_store import Augmentation
from melgpt.losses.adversarial import AdversarialKind
from melgpt.losses.codec import CodecLossWeights
from melgpt.registry import Family, KindsOf
from melgpt.vocoders.discriminators import SoundDiscriminatorConfig

Share = Annotated[float, Field(ge=0, lt=1)]
ListenerKinds = Annotated[tuple[str, ...], KindsOf("classifier", ("labels", "frames"))]


class StageTraining(Config):
    """What all stages have in common. A stage's length is given in steps: it is known before it begins."""

    steps: int = Field(2000, ge=1)
    """Optimiser steps of the stage."""
    batch: int = Field(16, ge=1)
    """Clips a step."""
    learning_rate: float = Field(3e-4, gt=0)
    """Highest learning rate; it rises over `warmup` steps and falls along a cosine to `last_rate` of it."""
    warmup: int = Field(100, ge=0)
    """Steps until the learning rate is reached."""
    last_rate: float = Field(0.1, gt=0, le=1)
    """Share of the learning rate that is left at the last step; with 1 it stays, as the originals' does."""
    weight_decay: float = Field(0.01, ge=0)
    """Decay of AdamW."""
    betas: tuple[Share, Share] = (0.9, 0.99)
    """Averages of AdamW."""
    clip_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to this norm."""
    average: float = Field(0.999, ge=0, lt=1)
    """Share of the averaged weights (EMA) that a step keeps; they are the ones validated and saved."""
    validate_every: int = Field(200, ge=1)
    """Steps between validations; a checkpoint is written at each."""
    seed: int = Field(0, ge=0, lt=1 << 32)
    """Seed of weights, batches and augmentation."""


class CodecTraining(StageTraining):
    """Training of the codec."""

    crop_frames: int = Field(128, ge=1)
    """Mel frames of a training crop; shorter clips are followed by silence."""
    gain_db: float = Field(6.0, ge=0, le=60)
    """Crops are made louder or softer by up to this much."""
    quantizer_weight: float = Field(1.0, ge=0)
    """Weight of the quantizer's loss."""
    discriminator: Annotated[DiscriminatorConfig, Family("discriminator")] = DiscriminatorConfig()
    """The PatchGAN."""
    adversarial_start: int = Field(1000, ge=0)
    """Step from which the discriminator takes part; at or above `steps` it never does."""
    adversarial_weight: float = Field(0.8, ge=0)
    """Factor on the adaptive weight of the adversarial loss."""
    adversarial_least: float = Field(0.0, ge=0)
    """Smallest adaptive weight; equal to adversarial_limit it is constant, as SpecVQGAN had it."""
    adversarial_limit: float = Field(1.0, ge=0)
    """Largest adaptive weight."""
    adversarial_loss: AdversarialKind = "hinge"
    """What the discriminator makes small: `hinge` or `vanilla`."""
    perceptual_weight: float = Field(0.0, ge=0)
    """Weight of the perceptual loss; above 0 it needs perceptual_file."""
    perceptual_file: str = ""
    """A perceptual.safetensors with trained weights of the network that compares."""
    valid_clips: int = Field(48, ge=1)
    """Most validation clips that are measured at each validation."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.adversarial_least > self.adversarial_limit:
            raise ValueError(
                f"adversarial_least ({self.adversarial_least}) lies above adversarial_limit "
                f"({self.adversarial_limit})"
            )
        if self.perceptual_weight and not self.perceptual_file:
            raise ValueError(
                f"perceptual_weight={self.perceptual_weight} needs perceptual_file=PATH of a "
                "perceptual.safetensors, such as `melgpt import` makes of a SpecVQGAN codec; or set it to 0"
            )
        return self

    @property
    def least_frames(self) -> int:
        """Fewest mel frames that the loss can be taken of: the perceptual network halves them four times."""
        return 16 if self.perceptual_weight else 1

    @property
    def weights(self) -> CodecLossWeights:
        """How much each term of the loss counts."""
        return CodecLossWeights(
            quantizer=self.quantizer_weight,
            perceptual=self.perceptual_weight,
            adversarial=self.adversarial_weight,
            adversarial_least=self.adversarial_least,
            adversarial_limit=self.adversarial_limit,
        )


class DecoderTraining(StageTraining):
    """Training of a mel decoder on the data set's mels, behind the finished codec."""

    learning_rate: float = Field(1e-3, gt=0)
    """Highest learning rate; it rises over `warmup` steps and falls along a cosine to `last_rate` of it."""
    crop_frames: int = Field(128, ge=1)
    """Mel frames of a training crop; shorter clips are followed by silence."""
    gain_db: float = Field(6.0, ge=0, le=60)
    """Crops are made louder or softer by up to this much."""
    valid_clips: int = Field(24, ge=1)
    """Most validation clips that are measured at each validation."""

    @property
    def least_frames(self) -> int:
        """Fewest mel frames that the loss can be taken of."""
        return 1


class VocoderTraining(StageTraining):
    """Training of a vocoder that has weights, on the sounds that the data set was prepared from."""

    betas: tuple[Share, Share] = (0.8, 0.99)
    """Averages of AdamW."""
    crop_frames: int = Field(64, ge=8)
    """Mel frames of a training crop; shorter clips are followed by silence."""
    gain_db: float = Field(6.0, ge=0, le=60)
    """Crops are made louder or softer by up to this much."""
    objective: Literal["auto", "magnitudes", "sound"] = "auto"
    """What is compared: the magnitudes that a vocoder of spectra begins with, which needs no sound to be
    made, or the sound. `auto`: magnitudes where there are such and no discriminators."""
    spectral_weight: float = Field(1.0, ge=0)
    """Weight of the spectra's distance at three resolutions. This and the other weights are for sounds."""
    band_weight: float = Field(1.0, ge=0)
    """Weight of the same within the band that the mel tells of."""
    mel_weight: float = Field(20.0, ge=0)
    """Weight of the mel's L1."""
    level_weight: float = Field(2.0, ge=0)
    """Weight of the distance of levels in steps of 4 ms."""
    adversarial_start: int = Field(1 << 31, ge=0)
    """Step from which the discriminators take part; at or above `steps` they never do."""
    adversarial_weight: float = Field(0.2, ge=0)
    """Weight of the discriminators' verdict."""
    feature_weight: float = Field(0.2, ge=0)
    """Weight of the L1 between what real and made sounds leave in the discriminators' layers."""
    discriminator: Annotated[SoundDiscriminatorConfig, Family("discriminator")] = SoundDiscriminatorConfig()
    """The discriminators."""
    codec_steps: int = Field(0, ge=0)
    """In so many of the last steps half of each batch is heard through the trained codec, as it will be."""
    valid_clips: int = Field(24, ge=1)
    """Most validation clips that are measured at each validation."""


class SequenceTraining(StageTraining):
    """What all stages that learn from the codec's codes have in common."""

    roll: float = Field(0.5, ge=0, le=1)
    """Share of the clips of full length that are rolled in time (never those with an end)."""
    patience: int = Field(10, ge=1)
    """Validations without a better result after which training stops; the best weights are kept."""
    least_valid: int = Field(4, ge=0)
    """With fewer validation clips than this they judge nothing: no early stop, the last weights are kept."""


class PriorTraining(SequenceTraining):
    """Training of the prior on the codec's codes."""

    augment: Augmentation = Augmentation()
    """Versions of the training clips."""
    replaced: float = Field(0.0, ge=0, lt=1)
    """Share of the codes it reads that are random ones instead; it still names the real next code. Keeps it
    from knowing few clips by heart."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target spread over all codes."""


class VAETraining(SequenceTraining):
    """Training of the VAE on the versions of the clips that the prior has (train.prior.augment).

    At first both halves learn as a plain auto-encoder. Then the encoder is taken over, the decoder starts
    anew, and `steps` follow in which the KL costs: so z is worth listening to when that decoder begins.
    """

    autoencoder_steps: int = Field(2000, ge=0)
    """Optimiser steps as a plain auto-encoder; 0 leaves that out."""
    beta: float = Field(1.0, ge=0)
    """Factor on the weight of the KL; 0 stays a plain auto-encoder."""
    kl_start: float = Field(0.0, ge=0, le=1)
    """Weight of the KL at first."""
    kl_warmup: float = Field(10.0, ge=0)
    """Passes over the training clips in which that weight rises to 1; with 0 it stays at kl_start."""
    free_bits: int = Field(2, ge=0, le=3)
    """What costs: 0 all of the KL; else only where it is above target_kl: 1 of each clip, 2 of each dimension
    above its equal share, 3 of the batch's mean."""
    target_kl: float = Field(8.0, ge=0)
    """KL in nats a clip that z may carry at no cost."""


class ClassifierTraining(StageTraining):
    """Training of the listeners, the small classifiers that `evaluate` measures with."""

    steps: int = Field(600, ge=1)
    """Optimiser steps of each listener."""
    batch: int = Field(16, ge=2)
    """Clips a step."""
    learning_rate: float = Field(1e-3, gt=0)
    """Highest learning rate; it rises over `warmup` steps and falls along a cosine to `last_rate` of it."""
    warmup: int = Field(60, ge=0)
    """Steps until the learning rate is reached."""
    weight_decay: float = Field(0.05, ge=0)
    """Decay of AdamW."""
    average: float = Field(0.98, ge=0, lt=1)
    """Share of the averaged weights (EMA) that a step keeps; they are the ones saved."""
    validate_every: int = Field(600, ge=1)
    """Steps between validations, which are only shown: nothing is chosen by them, the last weights stay."""
    kinds: ListenerKinds = Field(("listener_cnn", "listener_transformer"), min_length=1)
    """Architectures; the first one's first seed is the listener whose features are compared."""
    seeds: int = Field(3, ge=1, le=100)
    """Listeners of each architecture, with the seeds `seed`, `seed` + 1, …"""
    gain_db: float = Field(6.0, ge=0, le=60)
    """Clips are made louder or softer by up to this much."""
    hidden_bands: float = Field(0.25, ge=0, lt=1)
    """Widest stretch of mel bands that is hidden, as a share of all (SpecAugment)."""
    hidden_frames: float = Field(0.25, ge=0, lt=1)
    """Longest stretch of frames that is hidden, as a share of all (SpecAugment)."""
    blurred: float = Field(0.1, ge=0, lt=1)
    """Share of blurred clips, which are a class of their own: a listener without them forgives blur."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of the target spread over all classes."""
