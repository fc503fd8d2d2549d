"""Learn the sounds in a folder.

A class is a sub-folder, or what metadata.csv (file_name,label[,split]) says; folders called train, valid and
test that hold class folders are the split. A prepared data set is taken as it is. The model folder is written
to --out. Stages: prepare, codec, vocoder, prior; each is resumed where it was stopped and skipped where
nothing changed. Options of a recipe are changed with key=value, for example train.codec.steps=500.
"""

import argparse
from pathlib import Path

from melgpt.arguments import MEL_HELP, MEMORY_HELP, command_line, memory_size, with_mel
from melgpt.paths import RECIPE_HELP, recipe_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, metavar="SRC", help="folder of sounds or videos, or a prepared data set"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="model folder to write")
    parser.add_argument("--recipe", help=RECIPE_HELP)
    parser.add_argument("--mel", metavar="PRESET", help=MEL_HELP)
    parser.add_argument("--memory", type=memory_size, metavar="SIZE", help=MEMORY_HELP)
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes to the recipe")


def run(args: argparse.Namespace) -> int:
    from functools import partial

    from melgpt.audio.picture import open_matplotlib
    from melgpt.data.preset import mel_for
    from melgpt.data.store import is_prepared
    from melgpt.native.wanted import kernels_if
    from melgpt.progress import say
    from melgpt.training.fit import Run
    from melgpt.training.prepared_source import check_changes, scale_of_set
    from melgpt.training.recipe import Recipe

    changes = with_mel(args.changes, args.mel)
    prepared = is_prepared(args.source)
    auto = partial(scale_of_set if prepared else mel_for, args.source)
    recipe = Recipe.read(args.recipe or recipe_of(args.out), changes, auto=auto)
    if prepared:
        check_changes(changes, recipe, args.source)
    open_matplotlib()
    run = Run(args.out, recipe, memory=args.memory)
    with kernels_if(recipe.runtime.compile != "off"):
        run.fit(args.source)
    first = run.labels[0]
    label = [f"--label={first}"] if first.startswith("-") else ["--label", first]
    say(f"done: {command_line('generate', args.out, *label, '-n', 8, '--out', 'new/')}")
    return 0
