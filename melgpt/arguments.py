"""What every command line of ours has: an error is one line, and numbers are checked as they are read."""

import argparse
import io
import os
import re
import shlex
import sys
from typing import Any, NoReturn

from melgpt.errors import UserError


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front of it; exit code 2."""

    def error(self, message: str) -> NoReturn:
        sys.exit(complain(f"{message} (see {self.prog} --help)"))


def complain(text: str) -> int:
    """One line on standard error; the exit code 2 of what the user can mend."""
    print(f"melgpt: {' '.join(text.split())}", file=sys.stderr)
    return 2


def allow_any_script() -> None:
    """A label in a script that the terminal's encoding lacks must not end the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def command_line(*words: object) -> str:
    """`melgpt` with these words as a line to paste into a shell, whatever is in them."""
    return shlex.join(["melgpt", *map(str, words)])


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """What melgpt.runtime.RuntimeConfig holds, for the commands that open a model."""
    group = parser.add_argument_group(
        "how to compute",
        "Same machine, versions and options: same bytes. Another precision, device, number of threads or\n"
        "--compile changes the rounding: what is encoded and decoded stays the same but for that, sampled\n"
        "sounds may be others. With --precision fp32 they nearly always have the same codes. The JSON of\n"
        "each new sound says what was used.",
    )
    group.add_argument(
        "--precision", choices=["auto", "fp32", "bf16"], default="auto", help="of the weights (auto)"
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (auto)")
    group.add_argument("--threads", type=positive, default=0, help="cores of the CPU (as many as pay)")
    group.add_argument(
        "--compile",
        choices=["auto", "on", "off"],
        default="auto",
        help="on: torch.compile too, for very many sounds; off: no compiled kernels (auto)",
    )


def runtime_of(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_runtime`, for melgpt.load."""
    return {name: getattr(args, name) for name in ("precision", "device", "threads", "compile")}


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """What melgpt.gpt.sampling.Sampling holds, for the commands that make new sounds."""
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="below 1 more usual, above more daring (1)"
    )
    parser.add_argument("--top-k", type=int, default=0, help="only the k most likely codes; 0 for all (0)")
    parser.add_argument("--top-p", type=float, default=1.0, help="only the likeliest codes of this total (1)")
    parser.add_argument(
        "--min-p", type=float, default=0.0, help="only codes this likely beside the likeliest (0)"
    )
    parser.add_argument(
        "--guidance",
        type=float,
        help="1 as it was learnt, above it more typical of the class (4, and 1 for a model that was never "
        "trained without its class)",
    )


def sampling_of(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_sampling` that were given, for SoundModel.generate."""
    names = ("temperature", "top_k", "top_p", "min_p", "guidance")
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def add_output(parser: argparse.ArgumentParser) -> None:
    """What melgpt.audio.output.Output holds, and the format, for the commands that write new sounds."""
    group = parser.add_argument_group("how sounds are written")
    group.add_argument("--format", choices=["wav", "flac", "ogg"], help="of the files (wav)")
    group.add_argument("--rate", type=positive, metavar="HZ", help="sampling rate (as the model has it)")
    group.add_argument(
        "--bits",
        choices=["16", "24", "32f"],
        help="of a sample; 32f: floating point, WAV alone; OGG has none (16)",
    )
    group.add_argument(
        "--normalize",
        action="store_true",
        help="bring each sound's peak to -1 dBFS, but for nearly silent ones; each is kept in a temporary "
        "file beside, 4 bytes a sample, until its peak is known",
    )


def typed(text: str) -> str:
    """What a user typed, read as UTF-8 where the terminal's encoding could not."""
    return os.fsencode(text).decode(errors="replace")


def check_seed(seed: int) -> None:
    """Raises UserError for a negative one."""
    if seed < 0:
        raise UserError(f"--seed must be at least 0 (you gave {seed})")


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on was expected, not '{text}'")
    return int(text)


MEL_HELP = (
    "mel scale: specvqgan (125 to 7600 Hz), hifigan (0 to 8000 Hz), wide (0 to 22050 Hz), vocos, or auto, "
    "which is the smallest of the first three that holds the sounds' energy (specvqgan); as mel.preset=PRESET"
)


def with_mel(changes: list[str], preset: str | None) -> list[str]:
    """The changes with that of --mel. Raises UserError where mel.preset is given, too."""
    if preset is None:
        return changes
    if given := [change for change in changes if change.partition("=")[0].strip() == "mel.preset"]:
        from melgpt.errors import UserError

        raise UserError(f"--mel {preset} and {given[0]} say the same thing: leave one out")
    return [*changes, f"mel.preset={preset}"]


MEMORY_HELP = (
    "most memory that training takes, such as 4GB or 3500MB: of the process, on CUDA of the device; larger "
    "batches are then worked off in portions, which takes longer and learns the same (as much as it takes)"
)
_UNITS = {
    f"{letter}{ending}": 1000**power if ending == "b" else 1024**power
    for power, letter in enumerate("kmgt", 1)
    for ending in ("b", "ib")
}


def memory_size(text: str) -> int:
    """Bytes of `4GB` (powers of 1000), `4GiB` (of 1024), `3500 MB`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]i?b)", text.strip().lower())
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"a size such as 4GB, 4GiB or 3500MB was expected, not '{text}'")
    return int(float(found[1]) * _UNITS[found[2]])
