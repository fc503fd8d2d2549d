"""One stage of `fit` on a prepared data set: the codec, or the prior on the codec in the same folder."""

import argparse
from pathlib import Path

from melgpt.paths import RECIPE_HELP, recipe_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", choices=["codec", "prior"], help="what to train")
    parser.add_argument("data", type=Path, metavar="DATA", help="prepared data set")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="model folder to write")
    parser.add_argument("--recipe", help=RECIPE_HELP)
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes to the recipe")


def run(args: argparse.Namespace) -> int:
    from melgpt.data.store import Store
    from melgpt.training.fit import Run
    from melgpt.training.recipe import Recipe

    store = Store.open(args.data)
    work = Run(args.out, Recipe.read(args.recipe or recipe_of(args.out), args.changes))
    if args.stage == "codec":
        work.train_codec(store)
        work.make_vocoder()
    else:
        work.train_prior(store)
    return 0
