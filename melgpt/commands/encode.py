"""Sound → codes, in an .npz file that `melgpt decode` reads.

IN may be a whole corpus: a prepared data set, or a folder that could be prepared. Then OUT is a folder, which
gets one .npz for each clip. --originals writes the originals' code files beside a corpus' finished mels
(codes_10s/<name>_mel_code.npy), and OUT may be left out.
"""

import argparse
from pathlib import Path

from melgpt.arguments import add_runtime, runtime_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("source", type=Path, metavar="IN", help="sound or video file, or folder of a corpus")
    parser.add_argument("out", type=Path, metavar="OUT", nargs="?", help="codes to write: .npz, or a folder")
    parser.add_argument(
        "--originals", action="store_true", help="the originals' files, beside the mels of IN"
    )
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.io import read
    from melgpt.data.codes_file import write_codes
    from melgpt.errors import UserError
    from melgpt.model_folder import load

    if args.out is None and not args.originals:
        raise UserError("give OUT: a file that ends in .npz, or for a corpus a folder")
    if args.source.is_dir():
        return _encode_corpus(args)
    if args.originals:
        raise UserError(f"--originals wants the folder of a corpus with finished mels, not {args.source}")
    if args.out.suffix != ".npz":
        raise UserError(f"codes are written to a file that ends in .npz, not to {args.out.name}")
    audio = read(args.source)
    write_codes(args.out, load(args.model, **runtime_of(args)).encode(audio))
    return 0


def _encode_corpus(args: argparse.Namespace) -> int:
    from melgpt.data.encode_corpus import encode_clips, encode_originals
    from melgpt.errors import UserError
    from melgpt.model_folder import load
    from melgpt.progress import say

    if args.out is not None and (args.out.is_file() or args.out.suffix == ".npz"):
        raise UserError(f"{args.source} is a folder, its codes go to a folder: {args.out} is a file")
    model = load(args.model, **runtime_of(args))
    if args.out is not None:
        count = encode_clips(model.codec, model.fingerprints["codec"], args.source, args.out)
        say(f"codes of {count} clips: {args.out}")
    if args.originals:
        count = encode_originals(model.codec, args.source)
        say(f"{count} code files beside the mels of {args.source}")
    return 0
