"""Sound → codes, in an .npz file that `melgpt decode` reads; of any length, in the memory of a minute.

IN may be a folder of sounds or of finished mels, or a prepared data set. Then OUT is a folder, which gets one
.npz for each sound, or for each clip of mels and prepared sets. --originals writes the originals' code files
beside a corpus' finished mels (codes_10s/<name>_mel_code.npy), and OUT may be left out.
"""

import argparse
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

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
    from melgpt.audio.io import read_blocks
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
    findings: list[Any] = []
    blocks = begun(read_blocks(args.source, findings))  # before the model is opened, which takes longer
    write_codes(args.out, load(args.model, **runtime_of(args)).encode_blocks(blocks))
    say_findings(args.source, findings)
    print(args.out)
    return 0


def _encode_corpus(args: argparse.Namespace) -> int:
    from melgpt.data.codes_file import write_codes
    from melgpt.data.encode_corpus import encode_originals
    from melgpt.errors import UserError
    from melgpt.model_folder import load
    from melgpt.progress import say

    if args.out is not None and (args.out.is_file() or args.out.suffix == ".npz"):
        raise UserError(f"{args.source} is a folder, its codes go to a folder: {args.out} is a file")
    model = load(args.model, **runtime_of(args))
    if args.out is not None:
        for name, codes in codes_of_folder(model, args.source):
            write_codes(args.out / f"{name}.npz", codes)
            print(args.out / f"{name}.npz")
    if args.originals:
        count = encode_originals(model.codec, args.source)
        say(f"{count} code files beside the mels of {args.source}")
    return 0


def begun(blocks: Iterator[Any]) -> Iterator[Any]:
    """The same blocks, of which the first was read. Raises what reading it raises."""
    return chain([next(blocks)], blocks)


def say_findings(path: Path, findings: list[Any]) -> None:
    """Tell the user what is wrong with a sound that could be read all the same."""
    from melgpt.progress import say

    for finding in findings:
        say(f"{path}: {finding.reason}: {finding.detail}")


def codes_of_folder(model: Any, folder: Path) -> Iterator[tuple[str, Any]]:
    """Name and codes of each sound below a folder, as of a single file; of mels and sets, of each clip.

    Raises UserError at the end where files gave none.
    """
    from melgpt.audio.io import read_blocks
    from melgpt.data.encode_corpus import clip_codes, sounds_of
    from melgpt.errors import UserError
    from melgpt.progress import progress, say

    paths = sounds_of(folder, model.codec.scale)
    if not paths:
        yield from clip_codes(model.codec, model.fingerprints["codec"], folder)
        return
    failed = 0
    with progress("codes", len(paths)) as bar:
        for path in paths:
            findings: list[Any] = []
            try:
                codes = model.encode_blocks(read_blocks(folder / path, findings))
            except (UserError, OSError) as error:
                say(str(error))
                failed += 1
            else:
                say_findings(folder / path, findings)
                yield path, codes
            bar.advance()
    if failed:
        raise UserError(f"{failed} of {len(paths)} files gave no codes, the reasons stand above")
