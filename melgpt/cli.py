"""`melgpt COMMAND …`: a table of commands; only the chosen one is imported."""

import argparse
import importlib
import keyword
import os
import sys
import traceback
from contextlib import nullcontext

from melgpt.arguments import OneLineParser, allow_any_script, complain
from melgpt.signals import stopped_by_signals

COMMANDS = {
    "fit": "learn the sounds in a folder: all stages, resumable",
    "fetch": "download a corpus: vas, vggsound or esc50",
    "prepare": "a folder of audio or video → a prepared data set",
    "features": "features of the videos → beside a prepared data set",
    "train": "one stage: codec, vocoder, prior, VAE, or the listeners (classifier)",
    "generate": "new sounds from a model",
    "evaluate": "a model measured beside real sounds",
    "interpolate": "sounds between two sounds",
    "reconstruct": "a sound through the codec and back",
    "encode": "sound → codes",
    "decode": "codes → sound",
    "compare": "reports of evaluations against each other, and blind listening",
    "import": "a file of the originals → parts of a model folder",
    "options": "the options of a part",
    "demo": "build a small corpus, learn it and make new sounds of it",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command: 0 for success, 2 for what the user can mend (one line), 1 for a fault of ours."""
    allow_any_script()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _dispatch(arguments)
    except BrokenPipeError:
        # Whoever read the output has gone; Python's own flush at exit must not complain again.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 1


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help(), flush=True)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"melgpt {version('melspec-gpt-vqvae')}", flush=True)
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        from melgpt.errors import closest

        return complain(f"unknown command '{name}'{closest(name, list(COMMANDS))}")
    module = importlib.import_module(f"melgpt.commands.{name}{'_' if keyword.iskeyword(name) else ''}")
    parser = OneLineParser(
        prog=f"melgpt {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    args = parser.parse_intermixed_args(arguments[1:])
    with stopped_by_signals():
        return _run(module, args)


def _run(module: object, args: argparse.Namespace) -> int:
    from melgpt.errors import UserError
    from melgpt.native.wanted import kernels_if
    from melgpt.pages import kept_pages
    from melgpt.paths import disk_message

    try:
        # Where memory is limited, free memory inside of what was kept would not go back.
        pages = nullcontext() if getattr(args, "memory", None) else kept_pages()
        with pages, kernels_if(getattr(args, "compile", None) != "off"):
            return int(module.run(args))  # type: ignore[attr-defined]
    except KeyboardInterrupt:
        return complain("stopped; what was finished is kept, run the same command again to go on")
    except (UserError, FileNotFoundError) as error:
        return complain(str(error))
    except BrokenPipeError:
        raise
    except UnicodeEncodeError:
        if sys.getfilesystemencoding() in ("utf-8", "utf8"):
            traceback.print_exc()
            return 1
        return complain("a file's name has letters that this terminal's encoding lacks: set PYTHONUTF8=1")
    except OSError as error:
        if (message := disk_message(error)) is None:
            traceback.print_exc()
            return 1
        return complain(message)
    except Exception:  # a fault of ours: shown whole, told apart from the user's by the exit code
        traceback.print_exc()
        return 1


def _help() -> str:
    lines = "\n".join(f"  {name:12} {text}" for name, text in COMMANDS.items())
    return f"usage: melgpt COMMAND …\n\n{lines}\n\n`melgpt COMMAND --help` tells more."
