"""The order in which a code grid is read: column after column (time-major), each from row 0 (low) upwards.

Token t of a grid with H rows is row t % H of column t // H. This file alone knows it.
"""

import torch
from einops import rearrange, repeat
from torch import Tensor


def flatten(grid: Tensor) -> Tensor:
    """grid [B, H, W] → tokens [B, W * H], time-major."""
    return rearrange(grid, "b h w -> b (w h)")


def unflatten(tokens: Tensor, rows: int) -> Tensor:
    """tokens [B, W * H] → grid [B, H, W]; the inverse of `flatten`. Raises ValueError for a broken column."""
    if tokens.shape[-1] % rows:
        raise ValueError(f"{tokens.shape[-1]} tokens are not whole columns of {rows} rows")
    return rearrange(tokens, "b (w h) -> b h w", h=rows)


def fill_up(tokens: Tensor, column: Tensor, length: int) -> Tensor:
    """tokens [S] of whole columns → [length]: followed by as many of a column [H] as it takes, or cut."""
    missing = max(0, length - len(tokens)) // len(column)
    return torch.cat([tokens[:length], repeat(column, "h -> (w h)", w=missing)])
