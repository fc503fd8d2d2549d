"""Build a small corpus of eight classes, learn it, and make new sounds of every class.

Writes DIR/corpus (the sounds learnt from), DIR/model (the model folder), DIR/new (WAV, picture and JSON of
each new sound), DIR/sheet.png (both side by side) and DIR/README.md (the measured figures).
"""

import argparse
import json
from pathlib import Path
from typing import Any

NEW_OF_EACH = 4
REAL_OF_EACH = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to write (demo)"
    )
    parser.add_argument("--recipe", default="tiny", help="recipe to learn with (tiny)")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes to the recipe")


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.picture import open_matplotlib
    from melgpt.commands import fit
    from melgpt.data.demo_corpus import build
    from melgpt.progress import say

    open_matplotlib()
    corpus, model, new = args.out / "corpus", args.out / "model", args.out / "new"
    if not (corpus / ".complete").exists():
        build(corpus)
        (corpus / ".complete").touch()
    fit.run(
        argparse.Namespace(
            source=corpus, out=model, recipe=args.recipe, mel=None, memory=None, changes=args.changes
        )
    )
    sounds = _generate(model, new)
    _sheet(args.out / "sheet.png", corpus, sounds)
    figures = json.loads((model / "figures.json").read_text(encoding="utf-8"))
    _page(args.out / "README.md", figures)
    say(f"listen in {new}, look at {args.out / 'sheet.png'}, read {args.out / 'README.md'}")
    return 0


def _generate(folder: Path, out: Path) -> dict[str, list[Any]]:
    """New sounds of every class, written as the command `generate` does; label → Sounds."""
    from melgpt.commands.generate import save_sounds
    from melgpt.model_folder import load
    from melgpt.progress import progress

    model = load(folder)
    sounds = {}
    with progress("new sounds", len(model.labels)) as bar:
        for label in model.labels:
            sounds[label] = model.generate(label=label, n=NEW_OF_EACH)
            save_sounds(sounds[label], out)
            bar.advance()
    return sounds


def _sheet(path: Path, corpus: Path, sounds: dict[str, list[Any]]) -> None:
    """Real sounds beside new ones, a row a class."""
    from melgpt.audio.io import read
    from melgpt.audio.mel import analyse
    from melgpt.audio.picture import contact_sheet

    scale = next(iter(sounds.values()))[0].mel.scale
    rows = []
    for label, made in sounds.items():
        real = [read(file, scale.rate) for file in sorted((corpus / label).glob("*.wav"))[:REAL_OF_EACH]]
        mels = [analyse(audio, scale).values[0] for audio in real]
        rows.append((label, mels + [sound.mel.values[0] for sound in made]))
    contact_sheet(path, rows, scale, heads=("learnt from", *[""] * (REAL_OF_EACH - 1), "new"))


def _page(path: Path, figures: dict[str, Any]) -> None:
    """One page of text with the measured figures."""
    from melgpt.evaluation.card import table
    from melgpt.paths import atomic

    text = f"""# The demo

`corpus/` holds sounds made by formulas, `model/` what was learnt from them, `new/` new sounds of every class
(WAV, picture, and how each was made), `sheet.png` both side by side.

{table(figures)}"""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
