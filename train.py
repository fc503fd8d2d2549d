"""Train, evaluate and test the codec with MelSpec_VQVAE's flags: python train.py --help."""

import sys

from melgpt.compat.flags import codec_flags, run


def work(args):
    """Imported when the flags are known: --help needs no torch."""
    from melgpt.compat.codec import work

    work(args)


if __name__ == "__main__":
    sys.exit(run(codec_flags(), work))
