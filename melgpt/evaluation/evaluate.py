"""A model measured from end to end: its sounds beside real ones, all judged by listeners of their own.

The result is one dictionary of plain types; docs/formats.md describes it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melgpt.data.code_store import Augmentation, encode_split
from melgpt.data.store import Store
from melgpt.evaluation import intervals, original_protocol
from melgpt.evaluation.exhibits import Exhibits
from melgpt.evaluation.hearing import hear
from melgpt.evaluation.judge import Judge
from melgpt.evaluation.ladder import Step, climb
from melgpt.evaluation.limits import directions, meanings
from melgpt.evaluation.listeners import Listeners
from melgpt.evaluation.measures import codec_measures, prior_measures
from melgpt.evaluation.memorisation import Closeness
from melgpt.evaluation.novelty import Novelty
from melgpt.evaluation.projection import Projection, width_for
from melgpt.evaluation.protocol import Asked, check_fit, head
from melgpt.evaluation.references import Rendering, Sides, default_split
from melgpt.evaluation.rows import Row, control_rows, real_rows
from melgpt.evaluation.shown import Shown
from melgpt.evaluation.token_tables import table_bits
from melgpt.pipeline import SoundModel
from melgpt.progress import progress

LADDER_SETS = ("frechet", "kad", "accuracy")
"""Measures of sets that the steps of the ladder show beside their distances."""
Learn = Callable[[Tensor, NDArray[np.int64]], Any]
"""Mels [B, F, frames] with their classes → a listener that has learnt from them alone."""


@dataclass(frozen=True)
class Made:
    """New clips: as they are heard [B, F, frames], their classes, their grids [H, W] of tokens."""

    mels: Tensor
    labels: NDArray[np.int64]
    grids: list[Tensor]


class Evaluation:
    """One model on one data set; `run` gives the result."""

    def __init__(
        self,
        model: SoundModel,
        store: Store,
        sides: Sides,
        listeners: Listeners,
        asked: Asked,
        *,
        work: Path,
        melception: Any = None,
    ) -> None:
        """work: folder for what is computed on the way. Raises UserError where these do not fit."""
        check_fit(model, store)
        listeners.check_apart(asked.parents)
        if melception is not None:
            original_protocol.check(melception, store.scale)
        self.model, self.store, self.sides = model, store, sides
        self.listeners, self.asked, self.work = listeners, asked, work
        self.rendering = Rendering(model, store, listeners.frames)
        self.melception = melception
        self.seconds: dict[str, float] = {}
        self.shown: list[Shown] = []
        """What is to be heard, after `run`."""

    def run(self, learn: Learn | None) -> dict[str, Any]:
        """learn: trains the listener of the classification accuracy score; None leaves that out."""
        held = self.store.label_ids[self.sides.held].astype(np.int64)
        examined = self.listeners.examined(
            self.rendering.stored(self.sides.held), held, resamples=self.asked.resamples
        )
        made = self._generate()
        with self._timed("references"):
            rows = real_rows(self.rendering, self.sides)
            controls = control_rows(self.rendering, self.sides, seed=self.asked.seed)
        new = Row("generated", "model", "new clips of the model", made.mels, made.labels)
        with self._timed("search for copies"):
            novelty = Novelty(self.rendering, self.listeners, self.sides)
            closeness = novelty.of(made.mels, made.grids)
            found = novelty.told(closeness, made.labels, self.store.labels)
            copied = self._copied(novelty, closeness.mel.row, made)
            recoded = novelty.of(rows[-1].mels, self.rendering.tokens(self.sides.drawn, "tokens of copies"))
            new.extra["memorised"] = self._flagged(novelty, closeness)
            rows[-1].extra["memorised"] = self._flagged(novelty, recoded)
        self._learn(learn, rows[0], new)
        if self.melception is not None:
            with self._timed("Melception"):
                self._by_originals([*rows, new])
        width = width_for(len(self.sides.labels), novelty.training.features.shape[1])
        with self._timed("measure"):
            table = self._table([*rows, new, copied, *controls], novelty, width)
        with self._timed("ladder"):
            steps = climb(
                self.rendering, self.sides.real, resamples=self.asked.resamples, seed=self.asked.seed
            )
        with self._timed("codec and prior"):
            codec, prior = self._parts(steps)
        with self._timed("sounds to hear"):
            exhibits = Exhibits(self.rendering, self.sides)
            nearest = novelty.rows[closeness.mel.row]
            self.shown = [*exhibits.real(), *exhibits.new(made.grids, made.labels, found, nearest)]
        return {
            **head(self.asked, self.model, self.store, self.sides, self.listeners, width),
            "listeners": examined,
            "rows": table,
            "ladder": _ladder(steps, table),
            "memorisation": found,
            "codec": codec,
            "prior": prior,
            "directions": directions(),
            "meanings": meanings(),
            "seconds": self.seconds,
        }

    def _generate(self) -> Made:
        labels = [label for label in self.store.labels if label in self.model.labels]
        mels, classes, grids = [], [], []
        with self._timed("generate"), progress("new clips", len(labels) * self.asked.clips) as bar:
            for label in labels:
                sounds = self.model.generate(
                    label=label, n=self.asked.clips, seed=self.asked.seed, **self.asked.sampling
                )
                for sound in sounds:
                    mels.append(self.rendering.hear(sound.audio.samples)[0])
                    classes.append(self.store.labels.index(label))
                    grids.append(sound.codes.grid[0])
                bar.advance(len(sounds))
        return Made(torch.stack(mels), np.array(classes), grids)

    def _copied(self, novelty: Novelty, nearest: NDArray[np.int64], made: Made) -> Row:
        what = "a copy machine: for each new clip the training clip that is nearest to it"
        mels = self.rendering.stored(novelty.rows[nearest])
        row = Row("nearest training clip", "control", what, mels, made.labels)
        row.extra["memorised"] = self._flagged(novelty, novelty.of(mels, None))
        return row

    def _flagged(self, novelty: Novelty, clips: Closeness) -> dict[str, float]:
        return novelty.share(clips, resamples=self.asked.resamples)

    def _learn(self, learn: Learn | None, real: Row, new: Row) -> None:
        """Add the classification accuracy score: of a listener of the new clips, beside one of real clips."""
        if learn is not None:
            with self._timed("learn from new clips"):
                new.extra["cas"] = self._score(learn(new.mels, new.labels))
        if self.sides.unseen:
            real.extra["cas"] = self._score(self.listeners.members[0].part)

    def _by_originals(self, rows: list[Row]) -> None:
        """Add the originals' measures to some rows."""
        real = original_protocol.features(self.melception, self.rendering.stored(self.sides.real))
        for row in rows:
            made = original_protocol.features(self.melception, row.mels)
            row.extra.update(original_protocol.measures(made, real, row.labels, self.sides.labels))

    def _score(self, listener: Any) -> dict[str, float]:
        real = self.rendering.stored(self.sides.real)
        right = hear(listener, real).logits.argmax(1) == self.sides.labels
        return intervals.of_mean(right.astype(np.float64), resamples=self.asked.resamples).plain()

    def _table(self, rows: list[Row], novelty: Novelty, width: int | None) -> list[dict[str, Any]]:
        judge = Judge(
            self.listeners,
            self.rendering.stored(self.sides.real),
            self.sides.labels,
            classes=self.store.labels,
            scale=self.store.scale,
            projection=None if width is None else Projection.fit(novelty.training.features, width),
            resamples=self.asked.resamples,
            seed=self.asked.seed,
        )
        table = []
        with progress("measures", len(rows)) as bar:
            for row in rows:
                table.append(judge.row(row))
                bar.advance(note=row.name)
        return table

    def _parts(self, steps: list[Step]) -> tuple[dict[str, float], dict[str, float]]:
        """Figures of the codec and of the prior on the split that is judged, no training clips."""
        split = self.sides.split if self.sides.unseen else default_split(self.store)
        codec = codec_measures(self.model.codec, self.store, split)
        for step in steps:
            if step.stage == "codec + vocoder" and "stft" in step.measures:
                codec["stft"] = step.measures["stft"].value
        prior = self.model.prior
        assert prior is not None
        stamp = f"{self.model.fingerprints['codec']} {self.store.fingerprint} {prior.config.columns}"
        numbers = {self.store.labels.index(label): number for number, label in enumerate(self.model.labels)}
        training, judged = (
            encode_split(
                self.model.codec,
                self.store,
                each,
                self.work / "codes" / each,
                augment=Augmentation(variants=1),
                columns=prior.config.columns,
                stamp=stamp,
            ).of_classes(numbers)
            for each in ("train", split)
        )
        learnt, others = (
            [codes.sequence(number, prior.end)[0].numpy() for number in range(len(codes))]
            for codes in (training, judged)
        )
        return codec, {
            **prior_measures(prior, training, judged),
            **table_bits(learnt, others, prior.gpt.vocabulary),
        }

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[step] = round(time.monotonic() - start, 1)


def _ladder(steps: list[Step], table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps with the measures of sets of the rows that go the same way, and the new clips at the end."""
    rows = {row["name"]: row for row in table}
    ladder = []
    for step in steps:
        row = rows.get("real against real" if step.stage == "real" else step.stage, {"measures": {}})
        shared = {name: row["measures"][name] for name in LADDER_SETS if name in row["measures"]}
        ladder.append(
            {
                "stage": step.stage,
                "what": step.what,
                "measures": {**intervals.plain(step.measures), **shared},
                "per_class": {label: intervals.plain(measures) for label, measures in step.by_class.items()},
            }
        )
    new = rows["generated"]["measures"]
    last = {name: new[name] for name in LADDER_SETS if name in new}
    return [
        *ladder,
        {"stage": "generated", "what": "new sounds, which stand for no recording", "measures": last},
    ]
