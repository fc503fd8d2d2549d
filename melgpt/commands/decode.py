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
    from melgpt.data.codes_file import codes_below, read_codes
    from melgpt.data.outputs import mark_as_made
    from melgpt.errors import UserError
    from melgpt.model_folder import load
    from melgpt.streaming import save_pieces

    files = codes_below(args.source) if args.source.is_dir() else [args.source]
    if not files:
        raise UserError(f"{args.source} holds no codes: no file ends in .npz")
    codes = read_codes(files[0])  # before the model is opened, which takes longer
    model = load(args.model, **runtime_of(args))
    for file in files:
        codes, path = read_codes(file), args.out
        if args.source.is_dir():
            path = args.out / wav_name(file.relative_to(args.source).with_suffix("").as_posix())
        save_pieces(path, model.decode_blocks(codes), model.codec.scale.rate, model.seconds(codes))
        if args.source.is_dir():
            mark_as_made(path, {"decoded_from": file.name, "model": model.fingerprints})
        print(path)
    return 0


def wav_name(name: str) -> str:
    """The WAV of a sound or of codes of this name: `a.wav` stays, `a.mp3` becomes `a.mp3.wav`."""
    return name if name.endswith(".wav") else f"{name}.wav"
