"""The stage `decoder` for one that learns: behind the finished codec, from the mels of the data set."""

from typing import Any

import torch

from melgpt import registry
from melgpt.codec.codec import Codec
from melgpt.data.store import Store
from melgpt.decoders.base import MelDecoder
from melgpt.training.checkpoints import LAST
from melgpt.training.crops import MelCrops, WholeClips
from melgpt.training.data import EpochData
from melgpt.training.decoder_task import DecoderTask
from melgpt.training.memory import Limit
from melgpt.training.recipe import Recipe
from melgpt.training.stage import Stage, epochs

MEASURED = 64
"""Crops that the spread of the residual is taken from."""


def build_decoder(recipe: Recipe, codec: Codec) -> MelDecoder:
    """The recipe's decoder, not yet trained, for this codec."""
    config = recipe.decoder.for_codec(codec.quantizer.dim, codec.config.network.token_size[1])
    decoder: MelDecoder = registry.build("decoder", config)
    return decoder


def made_from(recipe: Recipe, store: Store, codec: str) -> dict[str, Any]:
    """What decides the result. codec: fingerprint of the one that it stands behind."""
    return {
        "data": store.fingerprint,
        "decoder": recipe.decoder.plain(),
        "training": recipe.train.decoder.plain(),
        "codec": codec,
    }


def train_decoder(
    recipe: Recipe, store: Store, stage: Stage, codec: Codec, limit: Limit | None
) -> tuple[MelDecoder, str]:
    """Train the decoder; returns it, and which of its steps was kept."""
    settings, token_frames = recipe.train.decoder, codec.config.network.token_size[1]
    torch.manual_seed(settings.seed)
    task = DecoderTask(build_decoder(recipe, codec), settings, codec)
    number, length = epochs(settings)

    def batches(epoch: int, clips: int) -> MelCrops:
        return MelCrops(store, settings, epoch, clips, token_frames=token_frames)

    if not stage.resumes:
        drawn = batches(number, MEASURED)
        crops = [drawn[i] for i in range(MEASURED)]
        sized = [crop for crop in crops if crop.shape[-1] == settings.crop_frames] or crops[:1]
        mel = torch.cat(sized)
        task.part.measure(mel - task.seen(mel)[0])
    if limit is not None:
        bands = store.scale.n_mels
        limit.keep(
            "decoder",
            task,
            lambda clips: torch.zeros(clips, 1, bands, settings.crop_frames),
            settings.batch,
            recipe.runtime,
        )
    data = EpochData(
        lambda epoch: batches(epoch, length * settings.batch),
        WholeClips(store, token_frames, settings.valid_clips),
        batch=settings.batch,
    )
    stage.train(task, data, settings=settings, runtime=recipe.runtime, monitor="val/loss", callbacks=[])
    kept = stage.load(task, LAST)
    decoder: MelDecoder = task.part.eval()
    return decoder, kept
