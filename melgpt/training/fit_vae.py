"""The stage `vae`, beside those of `fit`: first a plain auto-encoder, then the VAE on top of its encoder."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melgpt import checkpoint, registry
from melgpt.codec.codec import Codec
from melgpt.data.code_store import CodeStore
from melgpt.data.store import Store, spread
from melgpt.evaluation.card import write_card
from melgpt.evaluation.latent import vae_measures
from melgpt.evaluation.measures import MOST_CLIPS
from melgpt.gpt.order import fill_up, unflatten
from melgpt.gpt.vae import COLLAPSED, GPTVAE, GPTVAEConfig
from melgpt.losses.kl import Annealing
from melgpt.progress import say
from melgpt.runtime import choose_device
from melgpt.training.checkpoints import BEST, LAST
from melgpt.training.data import EpochData
from melgpt.training.fit import Run
from melgpt.training.run_folder import digest
from melgpt.training.sequences import AllSequences, Sequences, collate_whole
from melgpt.training.settings import VAETraining
from melgpt.training.stage import Stage, early_stopping, epochs
from melgpt.training.vae_task import VAETask

AUTOENCODER = "vae_autoencoder"
"""Folder of the first stage under training/; its result lies in it."""


class VAERun(Run):
    """A model folder that gets a VAE; needs codec.safetensors in it."""

    def train_vae(self, store: Store) -> None:
        """Stage `vae`: vae.safetensors."""
        settings = self.recipe.train.vae
        codec, mark = self._codec(store)
        config = self._vae_config(codec, store)
        made_from = {
            "data": store.fingerprint,
            "codec": mark,
            "vae": config.plain(),
            "augment": self.recipe.train.prior.augment.plain(),
            "training": settings.plain(),
        }
        self._write_recipe(self.recipe.changed(codec=codec.config.plain(), vae=config.plain()))
        if self._is_done("vae", made_from):
            return
        with self._timed("encode", go_on=True):
            sounds = _Sounds(codec, *self._codes(codec, mark, store, config.columns), config)
        clips = len(store.rows("train"))
        vae = sounds.new_vae(settings.seed)
        if settings.autoencoder_steps:
            vae.encoder.load_state_dict(self._autoencoder(sounds, made_from, clips).encoder.state_dict())
        stage = Stage("vae", self.folder / "training" / "vae", made_from)
        kept = self._train_stage(vae, sounds, settings, stage, clips)
        figures = vae_measures(vae.eval().to(choose_device(self.recipe.runtime.device)), sounds.heard())
        vae.cpu()
        if not figures["active_units"]:
            say(
                f"vae: {COLLAPSED}: let the KL cost less, with a smaller train.vae.beta, or a larger "
                "train.vae.kl_warmup or train.vae.target_kl"
            )
        self._measure("vae", figures)
        parents = {"codec": mark, "data": store.fingerprint}
        self._finish("vae", vae, made_from, parents, kept=kept, active_units=figures["active_units"])
        write_card(
            self.folder / "README.md",
            labels=store.labels,
            clips=len(store),
            figures=self.figures,
            folder=self.folder.as_posix(),
        )

    def _autoencoder(self, sounds: "_Sounds", made_from: dict[str, Any], clips: int) -> GPTVAE:
        """The plain auto-encoder, trained now or before."""
        settings = _of_autoencoder(self.recipe.train.vae)
        made_from = {**made_from, "training": settings.plain()}
        stage = Stage("vae", self.folder / "training" / AUTOENCODER, made_from)
        file, mark = stage.folder / "vae.safetensors", digest(made_from)
        if checkpoint.is_readable(file) and checkpoint.describe(file).notes.get("made_from") == mark:
            finished: GPTVAE = checkpoint.load(file, "vae")
            return finished
        say("vae: at first as a plain auto-encoder")
        vae = sounds.new_vae(settings.seed)
        self._train_stage(vae, sounds, settings, stage, clips)
        # Kept as a part, which is opened at once where only the second stage is made anew.
        checkpoint.save(vae, file, notes={"made_from": mark})
        return vae

    def _train_stage(
        self, vae: GPTVAE, sounds: "_Sounds", settings: VAETraining, stage: Stage, clips: int
    ) -> str:
        """Train `vae`, or go on; afterwards it holds the weights to keep, on the CPU. Returns their step."""
        annealing = Annealing.over(
            settings.kl_warmup, start=settings.kl_start, clips=clips, batch=settings.batch, beta=settings.beta
        )
        task, judged = VAETask(vae, settings, annealing), len(sounds.valid) >= settings.least_valid
        self._keep_to_limit(
            stage.folder.name,
            task,
            lambda clips: torch.zeros(clips, sounds.length, dtype=torch.int64),
            settings.batch,
        )
        with self._timed(f"train {stage.folder.name.replace('_', ' ')}", go_on=stage.resumes):
            stage.train(
                task,
                sounds.batches(settings),
                settings=settings,
                runtime=self.recipe.runtime,
                monitor="val/loss",
                callbacks=[early_stopping("val/loss", settings.patience)] if judged else [],
            )
        return stage.load(task, BEST if judged else LAST)

    def _vae_config(self, codec: Codec, store: Store) -> GPTVAEConfig:
        return self.recipe.vae.changed(
            codebook=codec.codebook_size, rows=codec.config.rows, columns=self._columns(codec, store)
        )


class _Sounds:
    """Whole sounds to learn from: codes, followed by silence where they are shorter."""

    def __init__(self, codec: Codec, train: CodeStore, valid: CodeStore, config: GPTVAEConfig) -> None:
        self.train, self.valid, self.config = train, valid, config
        self.length = config.rows * config.columns
        with torch.no_grad():
            self.silence = codec.eval().silent_column().cpu()

    def new_vae(self, seed: int) -> GPTVAE:
        """A VAE whose decoder starts at the codes' frequencies."""
        torch.manual_seed(seed)
        vae: GPTVAE = registry.build("vae", self.config)
        if self.config.row_aware:
            count = torch.zeros(self.config.rows, self.config.codebook)
            for number in range(len(self.train)):
                grid = unflatten(self._tokens(self.train, number)[None], self.config.rows)[0]
                count += torch.stack([row.bincount(minlength=self.config.codebook) for row in grid])
            vae.decoder.start_at_frequencies(count)
        return vae

    def batches(self, settings: VAETraining) -> EpochData:
        _, length = epochs(settings)
        shape: dict[str, Any] = {"rows": self.config.rows, "end": None, "length": length * settings.batch}
        return EpochData(
            lambda epoch: Sequences(self.train, settings, epoch=epoch, **shape),
            AllSequences(self.valid, None),
            batch=settings.batch,
            valid_batch=settings.batch,
            collate=partial(collate_whole, silence=self.silence, length=self.length),
        )

    def heard(self) -> Tensor:
        """Tokens [N, S] of the validation sounds that are measured."""
        numbers = spread(np.arange(len(self.valid)), MOST_CLIPS)
        return torch.stack([self._tokens(self.valid, int(number)) for number in numbers])

    def _tokens(self, codes: CodeStore, number: int) -> Tensor:
        return fill_up(codes.sequence(number, None)[0], self.silence, self.length)


def _of_autoencoder(settings: VAETraining) -> VAETraining:
    """Settings of the first stage; what decides only the second is left out, so that it can be changed."""
    nothing = {"beta": 0.0, "kl_start": 0.0, "kl_warmup": 0.0, "free_bits": 0, "target_kl": 0.0}
    return settings.changed(**nothing, steps=settings.autoencoder_steps, autoencoder_steps=0)
