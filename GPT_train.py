"""The class-conditional GPT with MelSpec_GPT_VQVAE's flags: python GPT_train.py --help."""

import sys

from melgpt.compat.flags import gpt_flags, run


def work(args):
    """Imported when the flags are known: --help needs no torch."""
    from melgpt.compat.gpt import work

    work(args)


if __name__ == "__main__":
    sys.exit(run(gpt_flags(), work))
