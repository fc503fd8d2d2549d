"""Sound → codes, in an .npz file that `melgpt decode` reads."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("source", type=Path, metavar="IN", help="sound or video file")
    parser.add_argument("out", type=Path, metavar="OUT.npz", help="codes to write")


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.io import read
    from melgpt.data.codes_file import write_codes
    from melgpt.errors import UserError
    from melgpt.pipeline import load

    if args.out.suffix != ".npz":
        raise UserError(f"codes are written to a file that ends in .npz, not to {args.out.name}")
    audio = read(args.source)
    write_codes(args.out, load(args.model).encode(audio))
    return 0
