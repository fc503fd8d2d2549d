"""Download a corpus into the layout that `prepare` and `fit` read: vas, vggsound or esc50.

Goes on where it was stopped, checks every archive against its published md5, unpacks it and removes it.
Exits with 2 where anything is missing at the end, and lists it.

    melgpt fetch vas --only dog,drum     mels of two classes → data/vas/features/<class>/melspec_10s_22050hz/
    melgpt fetch vggsound --only 01,02   two of 64 parts → data/vggsound/melspec_10s_22050hz/
    melgpt fetch esc50                   2000 sounds → data/esc50/audio/
"""

import argparse
import os
from pathlib import Path

from melgpt.arguments import command_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("corpus", metavar="NAME", help="vas, vggsound or esc50")
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="where to; default: data/NAME")
    parser.add_argument("--only", metavar="A,B", default="", help="these classes (vas) or parts (vggsound)")
    parser.add_argument("--features", action="store_true", help="the features of the videos, too")
    parser.add_argument("--keep", action="store_true", help="keep the archives in DIR/downloads")
    parser.add_argument(
        "--base",
        metavar="URL",
        default=os.environ.get("MELGPT_FETCH_BASE", ""),
        help="another address than the published one (or MELGPT_FETCH_BASE)",
    )
    parser.add_argument("--md5", metavar="FILE", type=Path, help="another list of checksums, as of md5sum")


def run(args: argparse.Namespace) -> int:
    from melgpt.data.fetch import Wish, fetch
    from melgpt.progress import say

    folder = args.folder or Path("data") / args.corpus
    only = tuple(name.strip() for name in args.only.split(",") if name.strip())
    fetch(args.corpus, folder, Wish(only, args.features, args.keep, args.base, args.md5))
    say(f"done: {command_line('prepare', folder, 'OUT')}")
    return 0
