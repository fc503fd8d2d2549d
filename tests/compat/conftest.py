"""A clone with a corpus in data/, as a user of the originals has it, and the smallest codec trained in it."""

import argparse
from pathlib import Path

import pytest

from melgpt.compat.flags import codec_flags
from melgpt.training.recipe import Recipe

MICRO = Path(__file__).resolve().parents[1] / "micro.toml"
SMALL = ["codec.quantizer.kind=vq", "codec.quantizer.dim=4", "prior.row_aware=false", "prior.ends=false"]


def micro_recipe(*changes: str) -> Recipe:
    """The seed's quantizer and prior in the smallest sizes."""
    return Recipe.read(str(MICRO), [*SMALL, *changes])


def codec_args(*words: str) -> argparse.Namespace:
    return codec_flags().parse_args(["--dataset", "vas", "--experiment", "try", *words])


@pytest.fixture(scope="session")
def clone(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which `train.py --train 1 --epochs 2` has run."""
    from melgpt.compat.codec import work

    folder = tmp_path_factory.mktemp("clone")
    for label in ("dog", "drum"):
        (folder / "data" / "vas" / label).mkdir(parents=True)
        for file in sorted((corpus / label).glob("*.wav"))[:5]:
            (folder / "data" / "vas" / label / file.name).symlink_to(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        work(
            codec_args("--train", "1", "--epochs", "2", "--disc_start", "2", "--workers", "1"), micro_recipe()
        )
    return folder
