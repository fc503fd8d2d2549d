"""A sound through the codec and back: what the codes keep of it.

Where OUT is a folder, it gets the sound, a picture of both mels and a JSON of how it was made.
"""

import argparse
from pathlib import Path

from melgpt.arguments import add_runtime, runtime_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("source", type=Path, metavar="IN", help="sound or video file")
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="sound to write (.wav, .flac, .ogg) or a folder"
    )
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.io import read, resample, write
    from melgpt.audio.mel import analyse
    from melgpt.audio.picture import contact_sheet, open_matplotlib
    from melgpt.data.outputs import mark_as_made
    from melgpt.model_folder import load

    audio = read(args.source)
    if not args.out.suffix or args.out.is_dir():
        open_matplotlib()
    model = load(args.model, **runtime_of(args))
    restored = model.reconstruct(audio)
    if args.out.suffix and not args.out.is_dir():
        write(args.out, restored)
        return 0
    scale = model.codec.scale
    write(args.out / f"{args.source.stem}.wav", restored)
    how = {"reconstruction_of": args.source.name, "model": model.fingerprints}
    mark_as_made(args.out / f"{args.source.stem}.wav", how)
    before, after = (analyse(resample(a, scale.rate), scale).values[0] for a in (audio, restored))
    rows = [("original", [before]), ("reconstruction", [after])]
    contact_sheet(args.out / f"{args.source.stem}.png", rows, scale)
    return 0
