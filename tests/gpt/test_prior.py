"""The prior: labels, geometry, the end token."""

import pytest
import torch

from melgpt.errors import UserError
from melgpt.gpt.prior import GUIDANCE, Prior, PriorConfig

SHAPE = {"labels": ["dog", "wild/Cat", "tame/cat", "wild/wolf"], "codebook": 6, "rows": 2, "columns": 5}
BLOCKS = {"layers": 1, "width": 8, "heads": 2, "dropout": 0.0}


def made(**options: object) -> Prior:
    return Prior(PriorConfig.parse({**SHAPE, "blocks": BLOCKS, **options})).eval()


def test_a_full_sound_fits_and_the_vocabulary_holds_the_end() -> None:
    prior = made()
    assert (prior.length, prior.end) == (10, 6)
    logits = prior(torch.zeros(3, 10, dtype=torch.int64), torch.tensor([0, 1, 4]))
    assert logits.shape == (3, 11, 7)


def test_without_ends_the_vocabulary_is_the_codebook() -> None:
    prior = made(ends=False)
    assert prior(torch.zeros(1, 0, dtype=torch.int64), torch.tensor([0])).shape == (1, 1, 6)
    assert prior.end is None


def test_the_label_changes_the_logits() -> None:
    logits = made()(torch.zeros(5, 3, dtype=torch.int64), torch.arange(5))
    assert torch.pdist(logits.flatten(1)).min() > 0


def test_labels_are_found_by_name_and_by_a_unique_last_part() -> None:
    prior = made()
    assert [prior.label_index(label) for label in SHAPE["labels"]] == [0, 1, 2, 3]
    assert prior.label_index("Wolf") == 3
    assert prior.label_index("DOG") == 0


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("dgo", "unknown label 'dgo'; did you mean 'dog'?"),
        ("wild/wulf", "did you mean 'wild/wolf'?"),
        ("violin", "known: dog, wild/Cat, tame/cat, wild/wolf"),
        ("cat", "unknown label 'cat'; did you mean"),
    ],
)
def test_an_unknown_label_names_the_nearest(label: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        made().label_index(label)
    assert words in str(error.value)


def test_rows_are_told_apart_only_where_asked_for() -> None:
    assert made().gpt.rows == 2
    assert made(row_aware=False).gpt.rows == 0


@pytest.mark.parametrize(("drop", "guidance"), [(0.1, GUIDANCE), (0.0, 1.0)])
def test_guidance_suits_how_it_was_trained(drop: float, guidance: float) -> None:
    assert made(conditioning={"kind": "class_label", "drop": drop}).guidance == guidance


def test_an_option_of_the_conditioning_reaches_it() -> None:
    prior = made(conditioning={"kind": "class_label", "drop": 0.5})
    assert prior.conditioning.config.drop == 0.5
    with pytest.raises(UserError, match="option conditioning: unknown option 'dorp'; did you mean 'drop'"):
        made(conditioning={"kind": "class_label", "dorp": 0.5})
