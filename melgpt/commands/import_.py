"""A file of the originals (MelSpec_VQVAE, MelSpec_GPT_VQVAE, SpecVQGAN) → parts of a model folder.

Its keys tell what it is. Import a codec first, then its GPT, then a vocoder, into the same folder:
melgpt import last.ckpt model · melgpt import gpt/last.ckpt model · melgpt import vocoder/logs/vggsound model
"""

import argparse
from pathlib import Path
from typing import Any

from melgpt.arguments import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SRC", help="checkpoint file, or MelGAN's folder")
    parser.add_argument("out", type=Path, metavar="OUT", help="model folder to write into")
    parser.add_argument("--kind", default="auto", help="what it is, where its keys shall not tell (auto)")
    parser.add_argument(
        "--heads", type=positive, help="attention heads, for other sizes than the published ones"
    )
    parser.add_argument(
        "--labels", help="class names in the order of their numbers: a,b,c or a file of lines"
    )
    parser.add_argument("--rows", type=positive, default=5, help="rows of the code grid (5)")
    parser.add_argument(
        "--columns", type=positive, default=53, help="columns of the code grid, for a GPT of videos (53)"
    )
    parser.add_argument("--statistics", type=Path, help="mel statistics that a classifier normalises with")
    parser.add_argument("--mel", help="mel scale: specvqgan, hifigan, wide, vocos (that of its originals)")


def run(args: argparse.Namespace) -> int:
    from melgpt.pretrained import Asked, convert
    from melgpt.progress import say
    from melgpt.types import MelScale

    asked = Asked(
        heads=args.heads,
        labels=_labels(args.labels),
        rows=args.rows,
        columns=args.columns,
        scale=None if args.mel is None else MelScale.preset(args.mel),
        statistics=args.statistics,
    )
    imported = convert(args.source, args.kind, asked)
    say(f"{args.source}: {imported.kind}")
    for path in write_parts(imported.parts, args.out):
        print(path)
    reasons: dict[str, int] = {}
    for reason in imported.dropped.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in reasons.items():
        first = next(key for key, why in imported.dropped.items() if why == reason)
        say(f"left out: {count} keys such as {first} ({reason})")
    return 0


def write_parts(parts: dict[str, Any], out: Path) -> list[Path]:
    """Each part into its file of a model folder; a codec alone gets the vocoder that needs no weights.

    Nothing is written where they do not fit each other or what the folder holds: UserError.
    """
    from melgpt import checkpoint, registry

    kept = {
        f: checkpoint.load(out / f"{f}.safetensors", f)
        for f in _LINKED
        if (out / f"{f}.safetensors").exists()
    }
    if "codec" in parts and "vocoder" not in {**kept, **parts}:
        config = {"kind": "griffin_lim", "mel": parts["codec"].scale.plain()}
        parts = {**parts, "vocoder": registry.build("vocoder", registry.configure("vocoder", config))}
    _check_fit(parts, kept, out)
    mark = checkpoint.fingerprint({**kept, **parts}["codec"]) if "codec" in {**kept, **parts} else ""
    written = []
    for family in sorted(parts, key=lambda family: family != "codec"):
        path = out / f"{family}.safetensors"
        checkpoint.save(parts[family], path, parents={"codec": mark} if family in _WRITERS else {})
        written.append(path)
    return written


_WRITERS = ("prior", "vae")
"""Parts that write the codes of one codec."""
_LINKED = ("codec", "vocoder", *_WRITERS)


def _check_fit(parts: dict[str, Any], kept: dict[str, Any], out: Path) -> None:
    """Raises UserError where new parts do not fit each other, or the folder's."""
    from melgpt import checkpoint
    from melgpt.errors import UserError

    folder = {**kept, **parts}
    codec = folder.get("codec")
    writers = [family for family in _WRITERS if family in parts]
    if writers and codec is None:
        raise UserError(
            f"{out} has no codec.safetensors: import the codec that this transformer writes for first"
        )
    for family in writers:
        theirs, ours = (folder[family].config.codebook, folder[family].config.rows), _grid(codec)
        if theirs != ours:
            raise UserError(
                f"the transformer writes {theirs[1]} rows of {theirs[0]} codes, the codec reads "
                f"{ours[1]} rows of {ours[0]}: they were not trained together"
            )
    left = [family for family in _WRITERS if family in kept and family not in parts]
    if left and "codec" in parts and checkpoint.fingerprint(parts["codec"]) != _mark(kept):
        raise UserError(f"{out} holds a {left[0]} of another codec: import this one into a folder of its own")
    if codec is not None and "vocoder" in folder and codec.scale != folder["vocoder"].scale:
        raise UserError(
            f"codec and vocoder have different mel scales: {codec.scale!r} and {folder['vocoder'].scale!r}: "
            "give --mel as it was in training, or another folder"
        )


def _mark(kept: dict[str, Any]) -> str | None:
    from melgpt import checkpoint

    return checkpoint.fingerprint(kept["codec"]) if "codec" in kept else None


def _grid(codec: Any) -> tuple[int, int]:
    return codec.codebook_size, codec.config.rows


def _labels(given: str | None) -> list[str] | None:
    """The class names. Raises UserError for an empty name and for one that is given twice."""
    from melgpt.errors import UserError

    if given is None:
        return None
    names = given.split(",")
    if len(names) == 1 and Path(given).is_file():
        try:
            names = Path(given).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise UserError(f"--labels {given}: the file is not UTF-8 text") from None
    labels = [name.strip() for name in names]
    if "" in labels or len(set(labels)) < len(labels):
        raise UserError("--labels: each class needs a name of its own")
    return labels
