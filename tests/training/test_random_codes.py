"""Random codes in what a prior reads while it learns."""

import torch

from melgpt.training.prior_task import _with_random_codes


def test_about_the_share_that_was_asked_for_is_random() -> None:
    torch.manual_seed(0)
    read = torch.zeros(100, 100, dtype=torch.int64)
    changed = _with_random_codes(read, 0.2, 1000)
    assert 0.18 < (changed != read).float().mean() < 0.22
    assert 900 < changed.max() < 1000
    assert changed.unique().numel() > 800


def test_without_a_share_all_codes_stay() -> None:
    read = torch.randint(0, 9, (3, 7))
    assert torch.equal(_with_random_codes(read, 0.0, 9), read)
