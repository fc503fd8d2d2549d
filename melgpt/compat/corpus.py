"""The corpus of an originals' command: data/DATASET, prepared once beside it, its clips cut as they did."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from melgpt.data.originals import CROP_FRAMES, centre_crop
from melgpt.data.prepare import prepare
from melgpt.data.store import Store
from melgpt.errors import UserError
from melgpt.paths import recipe_path
from melgpt.progress import say
from melgpt.training.recipe import Recipe

DATA = Path("data")
FETCHED = ("vas", "vggsound")


def seed_recipe(dataset: str, changes: list[str]) -> Recipe:
    """The originals' sizes for a dataset (those of vas for a folder of one's own), with changes."""
    try:
        recipe_path(name := f"seed_{dataset}")
    except UserError:
        name = "seed_vas"
    return Recipe.read(name, changes)


def open_corpus(dataset: str, recipe: Recipe, workers: int) -> Store:
    """Prepare data/DATASET (or the folder of that path) where that was not done yet, and open it."""
    source = (DATA / dataset if (DATA / dataset).is_dir() else Path(dataset)).absolute()
    if not dataset.strip("./\\ "):
        raise UserError(f"--dataset '{dataset}': the name of a folder in {DATA}/, or its path, was expected")
    if not source.is_dir():
        fetched = f", or download: bash data/download_{dataset}_features.sh" if dataset in FETCHED else ""
        home = DATA / dataset
        raise UserError(
            f"--dataset '{dataset}': there is no folder {home}; put mels at "
            f"{home}/features/CLASS/melspec_10s_22050hz/, or sounds into {home}/CLASS/{fetched}"
        )
    out = source.with_name(f"{source.name}.prepared")
    for line in prepare(source, out, recipe.data, recipe.mel, workers=max(1, workers)).report():
        say(line)
    store = Store.open(out)
    for split in ("train", "valid"):
        if not len(store.rows(split)):
            raise UserError(
                f"{source} has no {split} clips. The split comes from {dataset}_train.txt and "
                f"{dataset}_valid.txt beside it (lines CLASS/NAME) where they are, for VAS else from the "
                "published ranges of numbers, elsewhere from the sounds themselves, two a class at least"
            )
    return store


class SeedMels(Dataset[Tensor]):
    """Clips of a split, values [1, F, 848] in [-1, 1]; `epoch` shuffles them anew, None keeps their order."""

    def __init__(self, store: Store, split: str, epoch: int | None = None, seed: int = 783435) -> None:
        self.store, self.rows = store, store.rows(split)
        if epoch is not None:
            self.rows = np.random.default_rng([seed, epoch]).permutation(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor:
        mel = self.store.mel(int(self.rows[index])).T.astype(np.float32)
        if (missing := CROP_FRAMES - mel.shape[1]) > 0:  # a sound of one's own may be shorter
            mel = np.pad(mel, ((0, 0), (0, missing)))
        return torch.from_numpy(2 * centre_crop(mel) - 1)[None]
