"""A sound through the codec and back: what the codes keep of it; of any length, in the memory of a minute.

Where OUT is a folder, it gets the sound, a picture of both mels and a JSON of how it was made. IN may be a
folder of sounds, each of which becomes a WAV, or a prepared data set, each clip of which does.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from melgpt.arguments import add_runtime, runtime_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("source", type=Path, metavar="IN", help="sound or video file, or a folder of them")
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="sound to write (.wav, .flac, .ogg) or a folder"
    )
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.io import read_blocks
    from melgpt.audio.output import FORMATS
    from melgpt.audio.picture import open_matplotlib
    from melgpt.commands.decode import wav_name
    from melgpt.commands.encode import begun, codes_of_folder, say_findings
    from melgpt.errors import UserError
    from melgpt.model_folder import load

    to_folder = args.out.is_dir() or not args.out.suffix
    if args.source.is_dir():
        if args.out.is_file() or (not args.out.is_dir() and args.out.suffix.lower() in FORMATS):
            raise UserError(f"{args.source} is a folder, its sounds go to a folder, not to {args.out.name}")
        if args.out.resolve() == args.source.resolve():
            raise UserError(f"{args.out} holds the sounds themselves: give another folder for OUT")
        model = load(args.model, **runtime_of(args))
        for name, codes in codes_of_folder(model, args.source):
            _write(model, codes, args.out / wav_name(name), name)
        return 0
    path = args.out / f"{args.source.stem}.wav" if to_folder else args.out
    if path.resolve() == args.source.resolve():
        raise UserError(f"{path} is the sound itself: give another OUT")
    findings: list[Any] = []
    blocks = begun(read_blocks(args.source, findings))  # before the model is opened, which takes longer
    if to_folder:
        open_matplotlib()
    model = load(args.model, **runtime_of(args))
    codes = model.encode_blocks(blocks)
    say_findings(args.source, findings)
    _write(model, codes, path, args.source.name if to_folder else "")
    if to_folder:
        samples = round(model.seconds(codes) * model.codec.scale.rate)
        _draw(args.source, path, model.codec.scale, samples)
    return 0


def _write(model: Any, codes: Any, path: Path, of: str) -> None:
    """Write what codes become; of: name of the sound that they are of, which a folder's JSON tells."""
    from melgpt.data.outputs import mark_as_made
    from melgpt.streaming import save_pieces

    save_pieces(path, model.decode_blocks(codes), model.codec.scale.rate, model.seconds(codes))
    if of:
        mark_as_made(path, {"reconstruction_of": of, "model": model.fingerprints})
    print(path)


def _draw(source: Path, restored: Path, scale: Any, samples: int) -> None:
    """Both mels beside each other; of a long sound a value of the picture is the mean of some frames."""
    from melgpt.audio.io import read_blocks, resample_blocks
    from melgpt.audio.mel import frame_count
    from melgpt.audio.mel_blocks import analyse_blocks
    from melgpt.audio.picture import contact_sheet
    from melgpt.streaming import Picture

    def picture(blocks: Iterable[Any]) -> Any:
        drawn = Picture(frame_count(samples, scale))
        for mel in analyse_blocks(resample_blocks(blocks, scale.rate), scale):
            drawn.add(mel)
        return drawn

    before, after = (picture(read_blocks(path)) for path in (source, restored))
    rows = [("original", [before.values()]), ("reconstruction", [after.values()])]
    contact_sheet(restored.with_suffix(".png"), rows, scale, each=before.each)
