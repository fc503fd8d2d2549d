"""A model folder in the making: what lies in it, what is finished, what was measured, how long it took."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from melgpt import checkpoint
from melgpt.audio.mel import frame_count
from melgpt.codec.codec import Codec
from melgpt.data.code_store import CodeStore, encode_split
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.paths import FIGURES, RECIPE, atomic, refuse_file, remove_orphans
from melgpt.progress import say
from melgpt.runtime import choose_device, peak_memory_gib
from melgpt.training.memory import Limit
from melgpt.training.recipe import Recipe
from melgpt.types import MelScale


class RunFolder:
    """A model folder in the making; what its stages have in common."""

    def __init__(self, folder: Path, recipe: Recipe, *, memory: int | None = None) -> None:
        """memory: bytes that training keeps to; None: as many as the recipe's batches take."""
        self.folder, self.recipe = folder, recipe
        self.limit = None if memory is None else Limit(memory, folder / "training")
        check_folder(folder)
        for inside in (folder, folder / "training", folder / "training" / "sounds"):
            remove_orphans(inside)
        self.data = folder / "data"
        """The prepared data set that is learnt from."""
        self.figures = read_figures(folder / FIGURES)

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes of the prepared data."""
        return Store.open(self.data).labels

    def _codec(self, store: Store) -> tuple[Codec, str]:
        """The trained codec and its fingerprint. Raises UserError where it has not learnt from such data."""
        file = self.folder / "codec.safetensors"
        codec = checkpoint.load(file, "codec")
        self._check_data(store, codec.scale, f"the codec {file}", "prepare it as the codec has it")
        return codec, checkpoint.describe(file).fingerprint

    def _codes(self, codec: Codec, mark: str, store: Store, columns: int) -> tuple[CodeStore, CodeStore]:
        augment = self.recipe.train.prior.augment
        codec = codec.to(choose_device(self.recipe.runtime.device))
        stamp = json.dumps([mark, store.fingerprint, columns, augment.plain()])
        train, valid = (
            encode_split(
                codec,
                store,
                split,
                self.folder / "training" / "codes" / split,
                augment=augment,
                columns=columns,
                stamp=stamp,
            )
            for split in ("train", "valid")
        )
        return train, valid

    def _columns(self, codec: Codec, store: Store) -> int:
        """Most columns of a grid: those of the longest clip."""
        longest = frame_count(round(self.recipe.data.clip_seconds * store.scale.rate), store.scale)
        return codec.config.columns(min(longest, int(np.max(store.frames))))

    def _check_data(self, store: Store, scale: MelScale, whose: str, advice: str) -> None:
        if store.scale != scale:
            raise UserError(f"the data set has the mel scale {store.scale!r}, {whose} {scale!r}: {advice}")
        if not len(store.rows("train")):
            raise UserError(
                "the data set has no train clips: all are given to valid or test (metadata.csv, lists or "
                "folders of these names); give some to train"
            )
        if not len(store.rows("valid")):
            raise UserError(
                "the data set has no valid clips: a class needs two recordings, or one that gives two clips; "
                "add one, cut one into two files of different names, or set a smaller data.clip_seconds"
            )

    def _is_done(self, family: str, made_from: dict[str, Any]) -> bool:
        file = self.folder / f"{family}.safetensors"
        if file.is_file() and not checkpoint.is_readable(file):
            say(f"{family}: {file} is damaged and will be made again")
            return False
        done = file.is_file() and checkpoint.describe(file).notes.get("made_from") == digest(made_from)
        if done:
            say(f"{family}: already trained, nothing changed")
        return done

    def _finish(
        self,
        family: str,
        part: Any,
        made_from: dict[str, Any],
        parents: dict[str, str],
        *,
        kept: str,
        **notes: Any,
    ) -> None:
        """Write a trained part. kept: which of its steps, in words; notes: what it carries besides."""
        notes["made_from"] = digest(made_from)
        file = self.folder / f"{family}.safetensors"
        checkpoint.save(part, file, parents=parents, notes=notes)
        say(f"{family}: finished, {kept}; {file}")

    def _write_recipe(self, recipe: Recipe) -> None:
        recipe.write(self.folder / RECIPE)

    def _measure(self, part: str, values: dict[str, float]) -> None:
        self._add_figures({part: values, "peak_memory_gib": peak_memory_gib()}, {})

    def _add_figures(self, values: dict[str, Any], seconds: dict[str, float]) -> None:
        """Into the file as it is now: another stage may be trained in the same folder at the same time."""
        found = read_figures(self.folder / FIGURES)
        self.figures = {**found, **values, "seconds": {**found["seconds"], **seconds}}
        with atomic(self.folder / FIGURES) as temporary:
            temporary.write_text(json.dumps(self.figures, indent=2) + "\n", encoding="utf-8")

    @contextmanager
    def _timed(self, stage: str, *, go_on: bool = False) -> Iterator[None]:
        """Record the seconds of a stage; a resumed one adds to what it took before it was stopped."""
        start = time.monotonic()
        before = self.figures["seconds"].get(stage, 0.0) if go_on else 0.0
        try:
            yield
        finally:
            if self.folder.is_dir():  # a failed prepare leaves nothing
                self._add_figures({}, {stage: round(before + time.monotonic() - start, 1)})

    def _keep_to_limit(self, stage: str, task: Any, batch: Callable[[int], Any], size: int) -> None:
        if self.limit is not None:
            self.limit.keep(stage, task, batch, size, self.recipe.runtime)


def check_folder(folder: Path) -> None:
    """Raises UserError for a folder that holds something else than a run: its files would be written over."""
    refuse_file(folder)
    ours = ("data/data.json", "data.partial", "training", "listeners", FIGURES, RECIPE, "codec.safetensors")
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in ours):
        raise UserError(f"--out {folder} is not empty and not a model folder: give a new folder")


def read_figures(file: Path) -> dict[str, Any]:
    """Figures of an earlier run; mere statistics, so damaged ones are forgotten."""
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        figures = None
    return figures if isinstance(figures, dict) and "seconds" in figures else {"seconds": {}}


def digest(values: dict[str, Any]) -> str:
    """What a stage's result was made from, in 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
