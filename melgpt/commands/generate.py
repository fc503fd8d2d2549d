"""New sounds from a model: a WAV, a picture and a JSON of how it was made for each."""

import argparse
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from melgpt.arguments import add_runtime, add_sampling, runtime_of, sampling_of
from melgpt.progress import say

SOUND_SUFFIXES = (".wav", ".flac", ".ogg")
"""What a sound can be written as."""
STREAMED_SECONDS = 60
"""Longer sounds are written while they are made, in constant memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument(
        "--label", action="append", help="class; may be given several times; default: every class"
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
        "--seconds", type=float, help="length, of any size; default: as long as each sound wants to be"
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
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    import torch

    from melgpt.errors import UserError
    from melgpt.model_folder import load

    if args.n < 1 or args.seed < 0:
        raise UserError(f"-n must be at least 1 and --seed at least 0, not {args.n} and {args.seed}")
    model = load(args.model, **runtime_of(args))
    options = {name: getattr(args, name) for name in ("n", "seconds", "seed")} | sampling_of(args)
    if args.n > 1 and (args.temperature == 0 or args.top_k == 1):
        say(f"the likeliest code each time: all {args.n} sounds of a class will have the same codes")
    if args.source == "vae":
        if args.label or args.features:
            raise UserError("the VAE knows neither classes nor videos: leave out --label and --features")
        place = _place(args.out, args.n)
        for path in save_sounds(model.generate_from_vae(**options), **place):
            print(path)
        return 0
    video = [Path(name) for name in args.features.split(",")] if args.features else []
    features = None
    if video:
        from melgpt.data.features import read_joined  # opens scipy, which takes as long as opening a model

        features = torch.from_numpy(read_joined(video))
    labels = args.label or ([None] if video else list(model.labels) or [None])
    model.check_labels([label for label in labels if label is not None])
    place = _place(args.out, args.n * len(labels))
    for label in labels:
        long = args.seconds is not None and args.seconds > STREAMED_SECONDS
        sounds = (_streamed if long else _held)(model, label=label, features=features, **options)
        for path in save_sounds(sounds, **place, video=video[0].stem if video else ""):
            print(path)
    return 0


def _place(out: Path, sounds: int) -> dict[str, Any]:
    """Where `save_sounds` is to write so many sounds. Raises UserError for a file that is to hold several."""
    from melgpt.errors import UserError

    if out.is_dir() or out.suffix.lower() not in SOUND_SUFFIXES:
        return {"folder": out}
    if sounds > 1:
        raise UserError(f"--out {out} is one sound file, these are {sounds} sounds: give a folder")
    return {"folder": out.parent, "names": [out.stem], "suffix": out.suffix}


def _held(model: Any, **options: Any) -> Iterable[Any]:
    """Sounds that are made as a whole, several at a time."""
    return model.generate(**options)


def _streamed(model: Any, *, n: int, **options: Any) -> Iterator[Any]:
    """Long sounds, each made while it is written."""
    for index in range(n):
        yield model.stream(index=index, **options)


def save_sounds(
    sounds: Iterable[Any],
    folder: Path,
    names: list[str] | None = None,
    video: str = "",
    suffix: str = ".wav",
) -> list[Path]:
    """Sound file, PNG and JSON of each sound; returns the paths of the sound files.

    By the names given, or by label, seed and number; video: name of the one that they are for; suffix: one of
    SOUND_SUFFIXES.
    """
    paths: list[Path] = []
    replaced = 0
    for number, sound in enumerate(sounds):
        how = sound.how
        label = "_".join(file_name(part) for part in (video, how["label"]) if part)
        name = names[number] if names else f"{label}_seed{how['seed']}_{how['index']:03d}"
        path = folder / f"{name}{suffix}"
        replaced += _made_otherwise(path.with_suffix(".json"), how)
        sound.save(path)
        sound.plot(path.with_suffix(".png"))
        sound.explain(path.with_suffix(".json"))
        paths.append(path)
    if replaced:
        say(f"{replaced} of these took the place of sounds made with other options: --out keeps them apart")
    return paths


def _made_otherwise(file: Path, how: dict[str, Any]) -> bool:
    """Whether a sound lies there that was made in another way than `how` says."""
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(before != json.loads(json.dumps(how)))


def file_name(label: str) -> str:
    """A label as part of a file name, another one for each label: any script stays."""
    safe = "".join(c if c.isalnum() or c in "-._ " else "_" for c in label)[:80]
    return safe if safe == label else f"{safe}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"
