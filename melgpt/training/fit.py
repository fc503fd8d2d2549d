"""All stages: prepare → train codec → vocoder → train prior. A finished, unchanged stage is skipped."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from melgpt import checkpoint, registry
from melgpt.codec.codec import Codec
from melgpt.data.features import FeatureStore, Videos
from melgpt.data.prepare import Prepared, is_current, prepare
from melgpt.data.sounds import Sounds
from melgpt.data.store import Store, is_prepared, spread
from melgpt.decoders.base import MelDecoder
from melgpt.errors import UserError
from melgpt.evaluation.card import write_card
from melgpt.evaluation.measures import codec_measures, decoder_measures, prior_measures, row_counts
from melgpt.losses.perceptual import Perceptual
from melgpt.progress import say
from melgpt.training.callbacks import HearReconstructions
from melgpt.training.checkpoints import BEST, LAST
from melgpt.training.codec_task import CodecTask
from melgpt.training.crop_length import crops, with_fitting_crops
from melgpt.training.crops import MelCrops, WholeClips
from melgpt.training.data import EpochData
from melgpt.training.fit_decoder import made_from as decoder_made_from
from melgpt.training.fit_decoder import train_decoder
from melgpt.training.fit_vocoder import SOUNDS, same_objective, train_vocoder
from melgpt.training.fit_vocoder import made_from as vocoder_made_from
from melgpt.training.perceptual import open_perceptual
from melgpt.training.prepared_source import with_data_set
from melgpt.training.prior_task import PriorTask
from melgpt.training.recipe import Recipe
from melgpt.training.run_folder import RunFolder
from melgpt.training.sequences import AllSequences, Sequences, collate, longest
from melgpt.training.stage import Stage, early_stopping, epochs

HEARD_CLIPS = 4


class Run(RunFolder):
    """The stages that `fit` goes through."""

    def fit(self, source: Path) -> None:
        """From a folder of sounds, or a prepared data set, to a finished model folder."""
        if prepared := is_prepared(source):
            self.data, self.recipe = source, with_data_set(self.recipe, source)
        self._check_vocoder()  # what is wrong with it is said now, not after hours of training
        open_perceptual(self.recipe.train.codec, self.recipe.mel)
        for line in (Prepared.read(source) if prepared else self._prepare(source)).report():
            say(line)
        store = Store.open(self.data)
        store.check()
        self._check_data(store, self.recipe.mel, "the recipe", "prepare it again or set [mel]")
        self._write_recipe(self.recipe)
        # What is missing for a later stage is said before the codec is trained: features, sounds.
        self._features(store)
        if self.learns_vocoder:
            Sounds.open(store, self.folder / "training" / SOUNDS)
        self.train_codec(store)
        self.make_decoder(store)
        self.make_vocoder(store)
        self.train_prior(store)

    def _prepare(self, source: Path) -> Prepared:
        """The stage `prepare`: sounds become the data set of the model folder."""
        options = (self.recipe.data, self.recipe.mel)
        current = is_current(source, self.data, *options, results=(self.folder,))
        with nullcontext() if current else self._timed("prepare"):
            return prepare(source, self.data, *options, results=(self.folder,))

    def train_codec(self, store: Store) -> None:
        """Stage `codec`: codec.safetensors."""
        self._check_data(store, self.recipe.mel, "the recipe", "prepare it again or set [mel]")
        self._write_recipe(self.recipe)
        perceptual = open_perceptual(self.recipe.train.codec, self.recipe.mel)
        made_from = self._codec_made_from(store, perceptual)
        if self._is_done("codec", made_from):
            return
        if self.limit is not None:
            self.recipe = with_fitting_crops(self.recipe, self.limit, perceptual)
            self._write_recipe(self.recipe)
            made_from = self._codec_made_from(store, perceptual)
            if self._is_done("codec", made_from):
                return
        settings = self.recipe.train.codec
        torch.manual_seed(settings.seed)
        task = CodecTask(registry.build("codec", self.recipe.codec), settings, perceptual)
        self._keep_to_limit("codec", task, partial(crops, self.recipe), settings.batch)
        number, length = epochs(settings)
        token_frames = self.recipe.codec.network.token_size[1]
        data = EpochData(
            lambda epoch: MelCrops(
                store, settings, epoch, length * settings.batch, token_frames=token_frames
            ),
            WholeClips(store, token_frames, settings.valid_clips),
            batch=settings.batch,
        )
        clips = [store.values(int(row)) for row in spread(store.rows("valid"), HEARD_CLIPS)]
        hear = HearReconstructions(
            clips, registry.build("vocoder", registry.configure("vocoder", _hearing(self.recipe)))
        )
        stage = Stage("codec", self.folder / "training" / "codec", made_from)
        with self._timed("train codec", go_on=stage.resumes):
            stage.train(
                task, data, settings=settings, runtime=self.recipe.runtime, monitor="val/l1", callbacks=[hear]
            )
        # The last weights, not those of the lowest L1: that measure does not see the texture that the
        # adversarial part adds, and prefers the smooth pictures from before it.
        kept = stage.load(task, LAST)
        self._measure("codec", codec_measures(task.part.eval(), store))
        parents = {"data": store.fingerprint}
        if perceptual is not None:
            parents["perceptual"] = checkpoint.fingerprint(perceptual)
        self._finish("codec", task.part, made_from, parents, kept=kept)

    def _codec_made_from(self, store: Store, perceptual: Perceptual | None) -> dict[str, Any]:
        made_from = {
            "data": store.fingerprint,
            "codec": self.recipe.codec.plain(),
            "training": self.recipe.train.codec.plain(),
        }
        return (
            made_from
            if perceptual is None
            else {**made_from, "perceptual": checkpoint.fingerprint(perceptual)}
        )

    def make_decoder(self, store: Store) -> None:
        """Stage `decoder`: decoder.safetensors, where it has weights to learn; otherwise no such file."""
        if registry.resolve("decoder", self.recipe.decoder.kind).trainable:
            self.train_decoder(store)
        else:
            (self.folder / "decoder.safetensors").unlink(missing_ok=True)

    def train_decoder(self, store: Store) -> None:
        """Stage `decoder` for one that learns; needs codec.safetensors in the same folder."""
        codec, mark = self._codec(store)
        self._write_recipe(self.recipe)
        made_from = decoder_made_from(self.recipe, store, mark)
        if self._is_done("decoder", made_from):
            return
        stage = Stage("decoder", self.folder / "training" / "decoder", made_from)
        with self._timed("train decoder", go_on=stage.resumes):
            decoder, kept = train_decoder(self.recipe, store, stage, codec, self.limit)
        self._measure("decoder", decoder_measures(codec, decoder, store))
        parents = {"data": store.fingerprint, "codec": mark}
        self._finish("decoder", decoder, made_from, parents, kept=kept)

    def _decoder(self, codec: str) -> tuple[MelDecoder, str] | tuple[None, None]:
        """The folder's decoder and its fingerprint, where it was trained on the codec of this fingerprint."""
        file = self.folder / "decoder.safetensors"
        if not file.is_file() or checkpoint.describe(file).parents.get("codec") != codec:
            return None, None
        return checkpoint.load(file, "decoder"), checkpoint.describe(file).fingerprint

    def make_vocoder(self, store: Store) -> None:
        """Stage `vocoder`: vocoder.safetensors, trained, from nothing, or from a file of trained weights."""
        if self.learns_vocoder:
            self.train_vocoder(store)
            return
        target, vocoder = self.folder / "vocoder.safetensors", self._vocoder()
        if not target.is_file() or checkpoint.describe(target).fingerprint != checkpoint.fingerprint(vocoder):
            checkpoint.save(vocoder, target)

    def train_vocoder(self, store: Store) -> None:
        """Stage `vocoder` for one that learns; the last steps through the folder's codec, if any."""
        self._check_data(store, self.recipe.mel, "the recipe", "prepare it again or set [mel]")
        self._write_recipe(self.recipe)
        wanted, there = self.recipe.train.vocoder.codec_steps, (self.folder / "codec.safetensors").is_file()
        codec, decoder, through = None, None, dict[str, str]()
        if wanted and there:
            codec, mark = self._codec(store)
            decoder, its_mark = self._decoder(mark)
            through = {"codec": mark, **({} if its_mark is None else {"decoder": its_mark})}
        made_from = vocoder_made_from(self.recipe, store, through)
        if self._is_done("vocoder", made_from):
            return
        if wanted and not there:
            say(f"vocoder: {self.folder} has no codec yet, so it learns from the mels of real sounds alone")
        stage = Stage(
            "vocoder",
            self.folder / "training" / "vocoder",
            made_from,
            same_task=partial(same_objective, self.recipe),
        )
        with self._timed("train vocoder", go_on=stage.resumes):
            trained = train_vocoder(self.recipe, store, stage, codec, decoder, self.limit)
        self._measure("vocoder", trained.figures)
        parents = {"data": store.fingerprint, **through}
        self._finish("vocoder", trained.vocoder, made_from, parents, kept=trained.kept)

    @property
    def learns_vocoder(self) -> bool:
        """Whether the vocoder is trained here: it has weights to learn, and no file of them is given."""
        kind = registry.resolve("vocoder", self.recipe.vocoder.kind)
        return kind.trainable and not self.recipe.vocoder_file

    def _check_vocoder(self) -> None:
        """Say what is wrong with the vocoder before the first stage."""
        if not self.learns_vocoder:
            self._vocoder()

    def _vocoder(self) -> Any:
        """The recipe's vocoder where none is learnt. Raises UserError where its mel scale differs."""
        if self.recipe.vocoder_file:
            vocoder = checkpoint.load(Path(self.recipe.vocoder_file), "vocoder")
        else:
            vocoder = registry.build("vocoder", self.recipe.vocoder)
        if vocoder.scale != self.recipe.mel:
            raise UserError(
                f"the vocoder's mel scale {vocoder.scale!r} is not the recipe's {self.recipe.mel!r}: "
                "set [mel] as the vocoder has it"
            )
        return vocoder

    def train_prior(self, store: Store) -> None:
        """Stage `prior`: prior.safetensors; needs codec.safetensors in the same folder."""
        settings = self.recipe.train.prior
        codec, mark = self._codec(store)
        config = self._prior_config(codec, store)
        made_from = {
            "data": store.fingerprint,
            "codec": mark,
            "prior": config.plain(),
            "training": settings.plain(),
        }
        features, videos = self._features(store), None
        if features is not None:
            videos, made_from["features"] = Videos(features, config.conditioning), features.manifest.digest
        self._write_recipe(self.recipe.changed(codec=codec.config.plain(), prior=config.plain()))
        if self._is_done("prior", made_from):
            return
        with self._timed("encode"):
            train, valid = self._codes(codec, mark, store, config.columns)
        torch.manual_seed(settings.seed)
        prior = registry.build("prior", config)
        if config.row_aware:
            prior.gpt.start_at_frequencies(row_counts(prior, train))
        task = PriorTask(prior, settings)
        self._keep_to_limit("prior", task, partial(longest, prior.length, videos), settings.batch)
        number, length = epochs(settings)
        shape: dict[str, Any] = {"rows": config.rows, "end": prior.end, "videos": videos}
        data = EpochData(
            lambda epoch: Sequences(train, settings, epoch=epoch, length=length * settings.batch, **shape),
            AllSequences(valid, prior.end, videos),
            batch=settings.batch,
            valid_batch=settings.batch,
            collate=collate,
        )
        judged = len(valid) >= settings.least_valid
        if not judged:
            say(f"prior: {len(valid)} validation clips are too few to stop by; the last weights are kept")
        stage = Stage("prior", self.folder / "training" / "prior", made_from)
        with self._timed("train prior", go_on=stage.resumes):
            stage.train(
                task,
                data,
                settings=settings,
                runtime=self.recipe.runtime,
                monitor="val/bits",
                callbacks=[early_stopping("val/bits", settings.patience)] if judged else [],
            )
        kept = stage.load(task, BEST if judged else LAST)
        self._measure("prior", prior_measures(task.part.eval(), train, valid, videos))
        parents = {"codec": mark, "data": store.fingerprint}
        self._finish("prior", task.part, made_from, parents, kept=kept)
        write_card(
            self.folder / "README.md",
            labels=store.labels,
            clips=len(store),
            figures=self.figures,
            folder=self.folder.as_posix(),
        )

    def _prior_config(self, codec: Codec, store: Store) -> Any:
        columns, conditioning = self._columns(codec, store), self.recipe.prior.conditioning
        if (features := self._features(store)) is not None:
            seconds = columns * codec.config.network.token_size[1] / store.scale.frames_per_second
            conditioning = conditioning.changed(depth=features.depth, span=round(seconds * features.rate))
        return self.recipe.prior.changed(
            labels=store.labels,
            codebook=codec.codebook_size,
            rows=codec.config.rows,
            columns=columns,
            conditioning=conditioning,
        )

    def _features(self, store: Store) -> FeatureStore | None:
        """The videos' features, for a prior that takes them. Raises UserError where the data has none."""
        kind = registry.resolve("conditioning", self.recipe.prior.conditioning.kind)
        if not getattr(kind, "takes_features", False):
            return None
        return FeatureStore.open(store.folder, store.fingerprint)


def _hearing(recipe: Recipe) -> dict[str, Any]:
    """The vocoder for listening while training: the one that needs no weights."""
    return {"kind": "griffin_lim", "mel": recipe.mel.model_dump()}
