"""New sounds from a model: a WAV, a picture and a JSON of how it was made for each."""

import argparse
import hashlib
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument(
        "--label", action="append", help="class; may be given several times; default: every class"
    )
    parser.add_argument(
        "--from",
        dest="source",
        choices=["prior", "vae"],
        default="prior",
        help="what writes them; vae: sounds of any kind, no classes (prior)",
    )
    parser.add_argument("-n", type=int, default=1, help="sounds of each class (1)")
    parser.add_argument("--seconds", type=float, help="length; default: as long as each sound wants to be")
    parser.add_argument("--seed", type=int, default=0, help="same seed and options, same sounds (0)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="below 1 more usual, above more daring (1)"
    )
    parser.add_argument("--top-k", type=int, default=0, help="only the k most likely codes; 0 for all (0)")
    parser.add_argument("--top-p", type=float, default=1.0, help="only the likeliest codes of this total (1)")
    parser.add_argument(
        "--min-p", type=float, default=0.0, help="only codes this likely beside the likeliest (0)"
    )
    parser.add_argument("--guidance", type=float, default=1.0, help="above 1 more typical of the class (1)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")


def run(args: argparse.Namespace) -> int:
    from melgpt.errors import UserError
    from melgpt.pipeline import load

    if args.n < 1 or args.seed < 0:
        raise UserError(f"-n must be at least 1 and --seed at least 0, not {args.n} and {args.seed}")
    model = load(args.model)
    names = ("n", "seconds", "seed", "temperature", "top_k", "top_p", "min_p", "guidance")
    options = {name: getattr(args, name) for name in names}
    if args.source == "vae":
        if args.label:
            raise UserError(f"the VAE knows no classes: leave out --label {args.label[0]}")
        for path in save_sounds(model.generate_from_vae(**options), args.out):
            print(path)
        return 0
    labels = args.label or list(model.labels)
    model.check_labels(labels)
    for label in labels:
        for path in save_sounds(model.generate(label=label, **options), args.out):
            print(path)
    return 0


def save_sounds(sounds: list[Any], folder: Path, names: list[str] | None = None) -> list[Path]:
    """WAV, PNG and JSON of each sound, by the names given or by label, seed and number; the WAVs' paths."""
    paths = []
    for number, sound in enumerate(sounds):
        how = sound.how
        name = names[number] if names else f"{file_name(how['label'])}_seed{how['seed']}_{how['index']:03d}"
        path = folder / f"{name}.wav"
        sound.save(path)
        sound.plot(path.with_suffix(".png"))
        sound.explain(path.with_suffix(".json"))
        paths.append(path)
    return paths


def file_name(label: str) -> str:
    """A label as part of a file name, another one for each label: any script stays."""
    safe = "".join(c if c.isalnum() or c in "-._ " else "_" for c in label)[:80]
    return safe if safe == label else f"{safe}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"
