"""Put the features of the videos beside a prepared data set, for a prior that is steered by what is seen.

FOLDER holds them as the originals lay them out, CLASS/feature_KIND_…/NAME.pkl (or .npy), where NAME is that
of the sound's file. Then: melgpt train prior DATA --out RUN prior.conditioning.kind=frames_class
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help="prepared data set")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of feature files")
    parser.add_argument(
        "--kinds",
        metavar="WORD[,WORD]",
        default="",
        help="only these kinds, by a part of their folders' names, such as rgb,flow; default: all there are",
    )
    parser.add_argument("--rate", type=float, default=21.5, help="frames a second in the files (21.5)")
    parser.add_argument(
        "--dtype", choices=["float16", "float32"], default="float16", help="how they are stored (float16)"
    )


def run(args: argparse.Namespace) -> int:
    from melgpt.data.features import attach_features, in_folder
    from melgpt.progress import say

    kinds = [word for word in args.kinds.split(",") if word]
    features = attach_features(args.data, in_folder(args.folder, kinds), rate=args.rate, dtype=args.dtype)
    say(f"features of {len(features)} clips, {features.depth} numbers a frame: {features.folder}")
    return 0
