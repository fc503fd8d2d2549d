"""Codes, as `melgpt encode` writes them → sound."""

import argparse
from pathlib import Path

from melgpt.arguments import add_runtime, runtime_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder whose codec made the codes")
    parser.add_argument("source", type=Path, metavar="IN.npz", help="codes")
    parser.add_argument("out", type=Path, metavar="OUT", help="sound to write: .wav, .flac or .ogg")
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.io import write
    from melgpt.data.codes_file import read_codes
    from melgpt.pipeline import load

    codes = read_codes(args.source)
    write(args.out, load(args.model, **runtime_of(args)).decode(codes))
    return 0
