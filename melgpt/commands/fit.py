"""Learn the sounds in a folder.

A class is a sub-folder, or what metadata.csv (file_name,label[,split]) says. The model folder is written to
--out. Stages: prepare, codec, vocoder, prior; each is resumed where it was stopped and skipped where nothing
changed. Options of a recipe are changed with key=value, for example train.codec.steps=500.
"""

import argparse
from pathlib import Path

from melgpt.arguments import MEMORY_HELP, command_line, memory_size
from melgpt.paths import RECIPE_HELP, recipe_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SRC", help="folder of sounds or videos")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="model folder to write")
    parser.add_argument("--recipe", help=RECIPE_HELP)
    parser.add_argument("--memory", type=memory_size, metavar="SIZE", help=MEMORY_HELP)
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes to the recipe")


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.picture import open_matplotlib
    from melgpt.native.wanted import kernels_if
    from melgpt.progress import say
    from melgpt.training.fit import Run
    from melgpt.training.recipe import Recipe

    recipe = Recipe.read(args.recipe or recipe_of(args.out), args.changes)
    open_matplotlib()
    run = Run(args.out, recipe, memory=args.memory)
    with kernels_if(recipe.runtime.compile != "off"):
        run.fit(args.source)
    first = run.labels[0]
    label = [f"--label={first}"] if first.startswith("-") else ["--label", first]
    say(f"done: {command_line('generate', args.out, *label, '-n', 8, '--out', 'new/')}")
    return 0
