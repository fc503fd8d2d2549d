"""How each stage is trained; what is trained is described beside the networks."""

from melgpt.codec.discriminator import DiscriminatorConfig
from melgpt.config import Config
from melgpt.data.code_store import Augmentation


class StageTraining(Config):
    """What all stages have in common. A stage's length is given in steps: it is known before it begins."""

    steps: int = 2000
    """Optimiser steps of the stage."""
    batch: int = 16
    """Clips a step."""
    learning_rate: float = 3e-4
    """Highest learning rate; it rises over `warmup` steps and falls along a cosine to a tenth."""
    warmup: int = 100
    """Steps until the learning rate is reached."""
    weight_decay: float = 0.01
    """Decay of AdamW."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Averages of AdamW."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    average: float = 0.999
    """Share of the averaged weights (EMA) that a step keeps; they are the ones validated and saved."""
    validate_every: int = 200
    """Steps between validations; a checkpoint is written at each."""
    seed: int = 0
    """Seed of weights, batches and augmentation."""


class CodecTraining(StageTraining):
    """Training of the codec."""

    crop_frames: int = 128
    """Mel frames of a training crop; shorter clips are followed by silence."""
    gain_db: float = 6.0
    """Crops are made louder or softer by up to this much."""
    quantizer_weight: float = 1.0
    """Weight of the quantizer's loss."""
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    """The PatchGAN."""
    adversarial_start: int = 1000
    """Step from which the discriminator takes part; at or above `steps` it never does."""
    adversarial_weight: float = 0.8
    """Factor on the adaptive weight of the adversarial loss."""
    adversarial_limit: float = 1.0
    """Largest adaptive weight."""
    valid_clips: int = 48
    """Most validation clips that are measured at each validation."""


class PriorTraining(StageTraining):
    """Training of the prior on the codec's codes."""

    augment: Augmentation = Augmentation()
    """Versions of the training clips."""
    roll: float = 0.5
    """Share of the clips of full length that are rolled in time (never those with an end)."""
    label_smoothing: float = 0.0
    """Share of the target spread over all codes."""
    patience: int = 10
    """Validations without a better result after which training stops; the best weights are kept."""
    least_valid: int = 8
    """With fewer validation clips than this they judge nothing: no early stop, the last weights are kept."""
