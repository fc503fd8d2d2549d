"""The class as a prefix."""

import pytest
import torch

from melgpt.conditioning.class_label import ClassLabel, ClassLabelConfig
from melgpt.errors import UserError


def made(drop: float = 0.5) -> ClassLabel:
    return ClassLabel(ClassLabelConfig(drop=drop), labels=3, width=4)


def test_each_class_has_one_prefix_vector_of_its_own() -> None:
    label = made().eval()
    prefix = label(torch.tensor([0, 1, 2, 1]))
    assert prefix.shape == (4, ClassLabel.length, 4)
    assert torch.equal(prefix[1], prefix[3])
    assert len(prefix.unique(dim=0)) == 3


def test_no_class_is_the_vector_after_the_last_class() -> None:
    label = made().eval()
    nothing = label.nothing(2)
    assert nothing.shape == (2, 1, 4)
    assert torch.equal(nothing, label(torch.tensor([3, 3])))


def test_labels_are_hidden_in_training_by_their_share() -> None:
    label = made(drop=0.25).train()
    prefix = label(torch.zeros(4000, dtype=torch.int64))
    hidden = (prefix == label.nothing(4000)).all(-1).float().mean()
    shown = (prefix == label.embedding.weight[0]).all(-1).float().mean()
    assert hidden == pytest.approx(0.25, abs=0.03)
    assert hidden + shown == 1


def test_labels_are_never_hidden_in_evaluation() -> None:
    label = made(drop=1.0).eval()
    assert torch.equal(label(torch.tensor([1]))[0, 0], label.embedding.weight[1])


def test_a_share_of_zero_hides_nothing() -> None:
    label = made(drop=0.0).train()
    assert torch.equal(label(torch.tensor([2]))[0, 0], label.embedding.weight[2])


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(UserError, match="option drop"):
        ClassLabelConfig.parse({"drop": 1.5})
