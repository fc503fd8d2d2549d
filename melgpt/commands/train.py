"""One stage on a prepared data set: codec or vocoder; or, on the folder's codec, decoder, prior or VAE.

The VAE, which `fit` leaves out, is what `interpolate` needs; it is trained as an auto-encoder first.
`classifier` trains the listeners that `evaluate` measures with, into RUN/listeners; it needs no codec.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from melgpt.arguments import MEMORY_HELP, memory_size
from melgpt.paths import RECIPE_HELP, recipe_of

if TYPE_CHECKING:
    from melgpt.data.store import Store
    from melgpt.training.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    stages = ["codec", "decoder", "vocoder", "prior", "vae", "classifier"]
    parser.add_argument("stage", choices=stages, help="what to train")
    parser.add_argument("data", type=Path, metavar="DATA", help="prepared data set")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="model folder to write")
    parser.add_argument("--recipe", help=RECIPE_HELP)
    parser.add_argument("--memory", type=memory_size, metavar="SIZE", help=MEMORY_HELP)
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes to the recipe")


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.picture import open_matplotlib
    from melgpt.data.store import Store
    from melgpt.errors import UserError
    from melgpt.native.wanted import kernels_if
    from melgpt.training.recipe import Recipe

    if args.stage == "classifier" and args.memory is not None:
        raise UserError("--memory: listeners are small and are trained as they come; leave it out")
    store = Store.open(args.data)
    name = args.recipe or recipe_of(args.out)
    recipe = Recipe.read(name, args.changes, auto=lambda _: store.scale.plain())
    open_matplotlib()
    with kernels_if(recipe.runtime.compile != "off"):
        _train(args, recipe, store)
    return 0


def _train(args: argparse.Namespace, recipe: "Recipe", store: "Store") -> None:
    from melgpt.training.fit_listeners import ListenerTraining
    from melgpt.training.fit_vae import VAERun

    work = VAERun(args.out, recipe, memory=args.memory)
    if args.stage == "codec":
        work.train_codec(store)
        if not work.learns_vocoder:
            work.make_vocoder(store)
    elif args.stage == "decoder":
        work.train_decoder(store)
    elif args.stage == "vocoder":
        work.train_vocoder(store)
    elif args.stage == "prior":
        work.train_prior(store)
    elif args.stage == "vae":
        work.train_vae(store)
    else:
        ListenerTraining(args.out / "listeners", recipe.train.classifier, recipe.runtime).train_all(store)
