"""Grid and sequence."""

import pytest
import torch

from melgpt.gpt.order import flatten, unflatten


def test_the_rows_of_a_column_come_before_the_next_column() -> None:
    grid = torch.tensor([[[0, 1, 2], [10, 11, 12]]])
    assert flatten(grid).tolist() == [[0, 10, 1, 11, 2, 12]]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 53), (3, 4, 1)])
def test_a_grid_survives_a_round_trip(shape: tuple[int, int, int]) -> None:
    grid = torch.randint(100, shape)
    assert torch.equal(unflatten(flatten(grid), shape[1]), grid)


def test_a_broken_column_is_refused() -> None:
    with pytest.raises(ValueError, match="7 tokens are not whole columns of 3 rows"):
        unflatten(torch.zeros(1, 7), 3)
