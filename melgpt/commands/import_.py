"""A file of the originals (MelSpec_VQVAE, MelSpec_GPT_VQVAE, SpecVQGAN) → parts of a model folder.

Its keys tell what it is. Import a codec first, then its GPT, then a vocoder, into the same folder:
melgpt import last.ckpt model · melgpt import gpt/last.ckpt model · melgpt import vocoder/logs/vggsound model
"""

import argparse
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SRC", help="checkpoint file, or MelGAN's folder")
    parser.add_argument("out", type=Path, metavar="OUT", help="model folder to write into")
    parser.add_argument("--kind", default="auto", help="what it is, where its keys shall not tell (auto)")
    parser.add_argument("--heads", type=int, help="attention heads, for other sizes than the published ones")
    parser.add_argument(
        "--labels", help="class names in the order of their numbers: a,b,c or a file of lines"
    )
    parser.add_argument("--rows", type=int, default=5, help="rows of the code grid (5)")
    parser.add_argument(
        "--columns", type=int, default=53, help="columns of the code grid, for a GPT of videos (53)"
    )
    parser.add_argument("--statistics", type=Path, help="mel statistics that a classifier normalises with")
    parser.add_argument("--mel", default="specvqgan", help="mel scale: specvqgan, hifigan, wide (specvqgan)")


def run(args: argparse.Namespace) -> int:
    from melgpt.pretrained import Asked, convert
    from melgpt.progress import say
    from melgpt.types import MelScale

    asked = Asked(
        heads=args.heads,
        labels=_labels(args.labels),
        rows=args.rows,
        columns=args.columns,
        scale=MelScale.preset(args.mel),
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

    Raises UserError for a prior that does not fit the folder's codec.
    """
    from melgpt import checkpoint, registry

    written = []
    if "codec" in parts and "vocoder" not in parts and not (out / "vocoder.safetensors").exists():
        config = {"kind": "griffin_lim", "mel": parts["codec"].scale.plain()}
        parts = {**parts, "vocoder": registry.build("vocoder", registry.configure("vocoder", config))}
    for family in sorted(parts, key=lambda family: family != "codec"):
        path, parents = out / f"{family}.safetensors", {}
        if family in ("prior", "vae"):
            parents = {"codec": _codec_for(parts[family], out)}
        checkpoint.save(parts[family], path, parents=parents)
        written.append(path)
    return written


def _codec_for(prior: Any, out: Path) -> str:
    """Fingerprint of the folder's codec, once it is known to fit."""
    from melgpt import checkpoint
    from melgpt.errors import UserError

    if not (out / "codec.safetensors").is_file():
        raise UserError(
            f"{out} has no codec.safetensors: import the codec that this transformer was trained on first"
        )
    codec = checkpoint.load(out / "codec.safetensors", "codec")
    theirs, ours = (prior.config.codebook, prior.config.rows), (codec.codebook_size, codec.config.rows)
    if theirs != ours:
        raise UserError(
            f"the transformer writes {theirs[1]} rows of {theirs[0]} codes, the codec in {out} reads "
            f"{ours[1]} rows of {ours[0]}: they were not trained together"
        )
    return str(checkpoint.describe(out / "codec.safetensors").fingerprint)


def _labels(given: str | None) -> list[str] | None:
    if given is None:
        return None
    if "," not in given and Path(given).is_file():
        return [line.strip() for line in Path(given).read_text(encoding="utf-8").splitlines() if line.strip()]
    return [label.strip() for label in given.split(",")]
