"""Sounds between two sounds, in equal steps: for each a WAV, a picture and a JSON, and one sheet of all.

The model folder needs a VAE (`melgpt train vae`). The first and the last step are the two sounds as the VAE
remembers them; on the sheet the two sounds themselves stand at the sides.
"""

import argparse
from pathlib import Path

from melgpt.arguments import add_runtime, runtime_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("first", type=Path, metavar="A", help="sound or video file to start from")
    parser.add_argument("last", type=Path, metavar="B", help="sound or video file to end at")
    parser.add_argument("--steps", type=int, default=5, help="sounds, both ends included (5)")
    parser.add_argument("--seed", type=int, default=0, help="same seed and options, same sounds (0)")
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="0: the likeliest code each time; 1: as learned (0)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    from melgpt.audio.io import read, resample
    from melgpt.audio.mel import analyse
    from melgpt.audio.picture import contact_sheet, open_matplotlib
    from melgpt.commands.generate import file_name, save_sounds
    from melgpt.model_folder import load, vae_warnings
    from melgpt.progress import say

    ends = [read(file) for file in (args.first, args.last)]
    open_matplotlib()
    model = load(args.model, **runtime_of(args))
    for warning in vae_warnings(args.model):
        say(warning)
    sounds = model.interpolate(*ends, steps=args.steps, seed=args.seed, temperature=args.temperature)
    name = f"{file_name(args.first.stem)}_to_{file_name(args.last.stem)}"
    for path in save_sounds(sounds, args.out, [f"{name}_{i:02d}" for i in range(len(sounds))]):
        print(path)
    scale = model.codec.scale
    longest = max(sound.mel.values.shape[-1] for sound in sounds)
    first, last = (analyse(resample(audio, scale.rate), scale).values[0, :, :longest] for audio in ends)
    row = [first, *(sound.mel.values[0] for sound in sounds), last]
    heads = (args.first.stem, *(sound.how["label"] for sound in sounds), args.last.stem)
    contact_sheet(args.out / f"{name}.png", [("", row)], scale, heads=heads)
    return 0
