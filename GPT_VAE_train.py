"""The GPT-VAE with MelSpec_GPT_VQVAE's flags: python GPT_VAE_train.py --help."""

import sys

from melgpt.compat.flags import run, vae_flags


def work(args):
    """Imported when the flags are known: --help needs no torch."""
    from melgpt.compat.vae import work

    work(args)


if __name__ == "__main__":
    sys.exit(run(vae_flags(), work))
