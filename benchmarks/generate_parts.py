"""`melgpt generate` with a clock at its parts, and a model folder with random weights for it.

Nothing of melgpt is imported before it is asked for, so that a new process can time the import, too.
"""

import contextlib
import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.measure import timed

SECONDS = 10.0
LABELS = ("dog", "rain")


class Clock:
    """Seconds spent in parts of the program, by name, none inside another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, name: str, part: str) -> None:
        """From now on calls of `owner.name` count as this part."""
        original = getattr(owner, name)

        @wraps(original)
        def watched(*arguments: Any, **options: Any) -> Any:
            result = None

            def call() -> None:
                nonlocal result
                result = original(*arguments, **options)

            self.time(part, call)
            return result

        setattr(owner, name, watched)

    def time(self, part: str, work: Callable[[], object]) -> None:
        self.seconds[part] = self.seconds.get(part, 0.0) + timed(work)


def make(folder: Path, recipe_name: str) -> None:
    """A model folder with random weights, whose prior never ends a sound early."""
    from melgpt import checkpoint, registry
    from melgpt.codec.codec import Codec
    from melgpt.gpt.prior import Prior
    from melgpt.training.fit_decoder import build_decoder
    from melgpt.training.recipe import Recipe

    recipe = Recipe.read(recipe_name)
    codec = Codec(recipe.codec)
    prior = recipe.prior.changed(
        ends=False,
        labels=LABELS,
        codebook=codec.codebook_size,
        rows=recipe.codec.rows,
        columns=recipe.codec.columns(round(SECONDS * recipe.mel.frames_per_second)),
    )
    mark = checkpoint.save(codec, folder / "codec.safetensors")
    checkpoint.save(Prior(prior), folder / "prior.safetensors", parents={"codec": mark})
    checkpoint.save(registry.build("vocoder", recipe.vocoder), folder / "vocoder.safetensors")
    decoder = build_decoder(recipe, codec)
    if decoder.trainable:
        checkpoint.save(decoder, folder / "decoder.safetensors", parents={"codec": mark})


def arguments(model: Path, out: Path) -> list[str]:
    """Of the whole command."""
    return ["generate", str(model), "--label", LABELS[0], "--seconds", str(SECONDS), "--out", str(out)]


def timed_command(model: Path, out: Path) -> dict[str, float]:
    """Seconds of each part of one command in this process, which must have imported nothing of melgpt yet."""
    clock = Clock()
    clock.time("import", _import)
    from melgpt import cli, model_folder
    from melgpt.audio.sound import Sound
    from melgpt.gpt.steering import Steering
    from melgpt.pipeline import SoundModel

    clock.watch(model_folder, "load", "opening")
    clock.watch(Steering, "write", "GPT")
    clock.watch(SoundModel, "_mel", "decoder")
    clock.watch(SoundModel, "_synthesise", "vocoder")
    clock.watch(Sound, "plot", "picture")
    clock.watch(Sound, "save", "writing")
    clock.watch(Sound, "explain", "writing")
    with contextlib.redirect_stdout(io.StringIO()):
        status = cli.main(arguments(model, out))
    if status:
        raise RuntimeError(f"melgpt generate ended with {status}")
    return clock.seconds


def make_wav(opened: Any, path: Path, seconds: float) -> None:
    """From the label to the WAV in an open model."""
    opened.generate(label=LABELS[0], seconds=seconds)[0].save(path)


def _import() -> None:
    import melgpt.commands.generate
    import melgpt.pipeline  # noqa: F401
