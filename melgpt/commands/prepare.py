"""`melgpt prepare SRC OUT`: a folder of sounds becomes a data set.

VAS, VGGSound and ESC-50 are recognised by their own layouts: finished mels are taken as they are, labels and
split are the published ones (docs/formats.md).
"""

import argparse
from pathlib import Path

from melgpt.arguments import MEL_HELP, with_mel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "source", metavar="SRC", type=Path, help="folder; each sub-folder is a class, or metadata.csv says"
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write the data set to")
    parser.add_argument(
        "--mel",
        metavar="PRESET",
        help=MEL_HELP,
    )
    parser.add_argument("--workers", metavar="N", type=int, help="threads; default: one a core")
    parser.add_argument("--strict", action="store_true", help="exit with 2 if anything was left out")
    parser.add_argument("changes", metavar="key=value", nargs="*", help="options, such as clip_seconds=5")


def run(args: argparse.Namespace) -> int:
    """Prepare and say what came of it. Returns 2 with --strict where something was left out, else 0."""
    from functools import partial

    from melgpt.config import parse_changes
    from melgpt.data.prepare import DataConfig, prepare
    from melgpt.data.preset import mel_for
    from melgpt.errors import UserError
    from melgpt.progress import say
    from melgpt.types import MelScale

    if args.workers is not None and args.workers < 1:
        raise UserError(f"--workers must be at least 1, not {args.workers}")
    # As `fit` has them, too: data.clip_seconds=5.
    changes = with_mel([change.removeprefix("data.") for change in args.changes], args.mel)
    options = parse_changes(changes)
    mel = options.pop("mel", {})
    config = DataConfig.parse(options)
    if not isinstance(mel, dict):
        raise UserError(f"mel is a table of options, such as mel.preset=hifigan, not {mel!r}")
    scale = MelScale.of_table(mel, partial(mel_for, args.source, config, workers=args.workers))
    result = prepare(args.source, args.out, config, scale, workers=args.workers)
    for line in result.report():
        say(line)
    return 2 if args.strict and result.reasons() else 0
