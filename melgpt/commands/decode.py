"""Codes, as `melgpt encode` writes them → sound.

The sounds of a folder of codes get a JSON each of how they were made.
"""

import argparse
from pathlib import Path

from melgpt.arguments import add_runtime, runtime_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder whose codec made the codes")
    parser.add_argument("source", type=Path, metavar="IN", help="codes (.npz), or a folder of them")
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="sound to write (.wav, .flac, .ogg), or for a folder a folder"
    )
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.io import write
    from melgpt.data.codes_file import codes_below, read_codes
    from melgpt.data.outputs import mark_as_made
    from melgpt.errors import UserError
    from melgpt.model_folder import load

    files = codes_below(args.source) if args.source.is_dir() else [args.source]
    if not files:
        raise UserError(f"{args.source} holds no codes: no file ends in .npz")
    codes = read_codes(files[0])  # before the model is opened, which takes longer
    model = load(args.model, **runtime_of(args))
    if not args.source.is_dir():
        write(args.out, model.decode(codes))
        return 0
    for file in files:
        path = args.out / file.relative_to(args.source).with_suffix("")
        path = path if path.suffix == ".wav" else path.with_name(f"{path.name}.wav")
        write(path, model.decode(read_codes(file)))
        mark_as_made(path, {"decoded_from": file.name, "model": model.fingerprints})
        print(path)
    return 0
