"""New sounds from a model: a sound file, a picture and a JSON of how it was made for each."""

import argparse
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from melgpt.arguments import (
    add_output,
    add_runtime,
    add_sampling,
    check_seed,
    runtime_of,
    sampling_of,
    typed,
)
from melgpt.checks import seconds_above_0
from melgpt.errors import UserError
from melgpt.progress import say

SOUND_SUFFIXES = (".wav", ".flac", ".ogg")
"""What a sound can be written as."""
STREAMED_SECONDS = 60
"""Longer sounds are written while they are made, in constant memory."""
MOST_BYTES = 90
"""Of a label in a file's name: with a video's name, seed and number a name has at most 255."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument(
        "--label",
        action="append",
        metavar="LABEL[,LABEL]",
        help="class, or several separated by commas; may be given several times; default: every class",
    )
    parser.add_argument(
        "--features",
        metavar="FILE[,FILE]",
        help="features of a video (.pkl, .npy), several side by side, such as rgb.pkl,flow.pkl; for a model "
        "that sees videos",
    )
    parser.add_argument(
        "--from",
        dest="source",
        choices=["prior", "vae"],
        default="prior",
        help="what writes them; vae: sounds of any kind, no classes (prior)",
    )
    parser.add_argument("-n", type=int, default=1, help="sounds of each class (1)")
    parser.add_argument(
        "--takes",
        type=int,
        default=1,
        help="so many of each sound, with the same codes and other detail; for a model with a decoder (1)",
    )
    parser.add_argument(
        "--seconds", type=float, help="length, of any size; default: as long as the model makes each sound"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed and options, same sounds (0)")
    add_sampling(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="OUT",
        help="folder to write to, or for a single sound a file (.wav, .flac, .ogg)",
    )
    add_output(parser)
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.output import Output
    from melgpt.audio.picture import open_matplotlib
    from melgpt.model_folder import load, vae_warnings

    _check(args)
    output = Output.parse({name: getattr(args, name) for name in ("rate", "bits", "normalize")})
    output.subtype(f"sound{_suffix(args)}")
    open_matplotlib()
    model = load(args.model, **runtime_of(args))
    options = {name: getattr(args, name) for name in ("n", "seconds", "seed")} | sampling_of(args)
    if args.n > 1 and (args.temperature == 0 or args.top_k == 1):
        say(f"the likeliest code each time: all {args.n} sounds of a class will have the same codes")
    video = [Path(name) for name in args.features.split(",")] if args.features else []
    if args.source == "vae":
        for warning in vae_warnings(args.model):
            say(warning)
        place = _place(args, args.n)
        sounds: Iterable[Any] = model.generate_from_vae(**options)
    else:
        labels = _labels(model, args.label, video)
        place = _place(args, args.n * args.takes * len(labels))
        options["takes"] = args.takes
        sounds = _of_classes(model, labels, video, long=_is_long(args), options=options)
    save_sounds(sounds, **place, video=video[0].stem if video else "", output=output, told=print)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises UserError for what is wrong whatever the model is."""
    for option, number in (("-n", args.n), ("--takes", args.takes)):
        if number < 1:
            raise UserError(f"{option} must be at least 1 (you gave {number})")
    if args.source == "vae" and args.takes > 1:
        raise UserError("--takes is for the prior's sounds: leave it out with --from vae")
    check_seed(args.seed)
    if args.seconds is not None:
        seconds_above_0(args.seconds, "--seconds")
    if args.source == "vae" and (args.label or args.features):
        raise UserError("the VAE knows neither classes nor videos: leave out --label and --features")


def _is_long(args: argparse.Namespace) -> bool:
    return args.seconds is not None and args.seconds > STREAMED_SECONDS


def _labels(model: Any, asked: list[str] | None, video: list[Path]) -> list[str | None]:
    """The classes to make, each once; None where the prior or a video needs no class."""
    known = list(model.labels)
    if asked and known:
        return list(dict.fromkeys(each for text in asked for each in model.labels_in(typed(text))))
    return [*(asked or ([] if video else known))] or [None]


def _of_classes(
    model: Any, labels: list[str | None], video: list[Path], *, long: bool, options: dict[str, Any]
) -> Iterator[Any]:
    """Sounds of each class; what is wrong is said before the first is made."""
    import torch

    features = None
    if video:
        from melgpt.data.features import read_joined  # opens scipy, which takes as long as opening a model

        features = torch.from_numpy(read_joined(video))
    return (
        sound
        for label in labels
        for sound in (_streamed if long else _held)(model, label=label, features=features, **options)
    )


def _suffix(args: argparse.Namespace) -> str:
    """The suffix of the files: that of --format, or of --out where that is a file."""
    named = args.out.suffix.lower() if args.out.suffix.lower() in SOUND_SUFFIXES else None
    asked = None if args.format is None else f".{args.format}"
    if named and asked and named != asked and not args.out.is_dir():
        raise UserError(f"--format {args.format} and --out {args.out} contradict each other: leave one out")
    return asked or (named if named and not args.out.is_dir() else ".wav")


def _place(args: argparse.Namespace, sounds: int) -> dict[str, Any]:
    """Where `save_sounds` is to write so many sounds. Raises UserError for a file that is to hold several."""
    out, suffix = args.out, _suffix(args)
    if out.is_dir() or out.suffix.lower() not in SOUND_SUFFIXES:
        return {"folder": out, "suffix": suffix}
    if sounds > 1:
        raise UserError(f"--out {out} is one sound file, these are {sounds} sounds: give a folder")
    return {"folder": out.parent, "names": [out.stem], "suffix": suffix}


def _held(model: Any, **options: Any) -> Iterable[Any]:
    """Sounds that are made as a whole, several at a time."""
    return model.generate(**options)


def _streamed(model: Any, *, n: int, takes: int, **options: Any) -> Iterator[Any]:
    """Long sounds, each made while it is written."""
    for index in range(n):
        for take in range(takes):
            yield model.stream(index=index, take=take, **options)


def save_sounds(
    sounds: Iterable[Any],
    folder: Path,
    names: list[str] | None = None,
    *,
    video: str = "",
    suffix: str = ".wav",
    output: Any = None,
    told: Callable[[Path], None] = lambda path: None,
) -> list[Path]:
    """Sound, PNG and JSON of each; returns the paths of the sounds, each of which is told when it is there.

    By the names given, or by label, seed and number; video: name of the one that they are for; suffix: one of
    SOUND_SUFFIXES; output: audio.output.Output of the sounds. Overwritten and nearly silent ones are counted
    in a line each.
    """
    from melgpt.audio.output import NEARLY_SILENT_DBFS
    from melgpt.audio.sound import write_how

    paths: list[Path] = []
    silent: list[Path] = []
    replaced = 0
    options = {} if output is None else output.plain()
    for number, sound in enumerate(sounds):
        how = sound.how
        label = "_".join(file_name(part) for part in (video, how["label"]) if part)
        take = f"_take{how['take']}" if how.get("take") else ""
        name = names[number] if names else f"{label}_seed{how['seed']}_{how['index']:03d}{take}"
        path = folder / f"{name}{suffix}"
        written = sound.save(path, **options)
        sound.plot(path.with_suffix(".png"))
        how = {**how, "output": written.told}
        replaced += _made_otherwise(path.with_suffix(".json"), how)
        write_how(path.with_suffix(".json"), how)
        paths.append(path)
        silent += [path] * written.nearly_silent
        told(path)
    if replaced:
        say(f"{_files(replaced)} overwritten; choose another --out to keep both")
    if silent:
        level = f"peak below {NEARLY_SILENT_DBFS:.0f} dBFS"
        say(f"{len(silent)} of {len(paths)} nearly silent ({level}), first {silent[0]}")
    return paths


def _files(count: int) -> str:
    return "1 file was" if count == 1 else f"{count} files were"


def _made_otherwise(file: Path, how: dict[str, Any]) -> bool:
    """Whether a sound lies there that was made in another way than `how` says."""
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(before != json.loads(json.dumps(how)))


def file_name(label: str) -> str:
    """A label as part of a file name, another one for each label: any script stays, as UTF-8."""
    safe = "".join(c if c.isalnum() or c in "-._ " else "_" for c in label)[:80]
    safe = safe.encode(errors="replace")[:MOST_BYTES].decode(errors="ignore")
    marked = (
        safe if safe == label else f"{safe}-{hashlib.sha256(label.encode(errors='replace')).hexdigest()[:6]}"
    )
    return os.fsdecode(marked.encode())
