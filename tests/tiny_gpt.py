"""Tiny GPTs for the tests, and a stub whose logits are given."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from melgpt.gpt.model import GPT
from melgpt.nn.transformer import BlockConfig, LayerCache

ROWS, VOCABULARY, WIDTH = 3, 11, 16
END = VOCABULARY - 1
SIZES = {"layers": 2, "width": WIDTH, "heads": 2, "dropout": 0.0}
BLOCKS = {"modern": BlockConfig.parse(SIZES), "seed": BlockConfig.seed(**SIZES)}


def made(blocks: str = "modern", *, rows: int = ROWS, context: int = 32, sharp: float = 12.0) -> GPT:
    """A GPT in evaluation mode; `sharp` scales its head, so that tokens differ clearly in probability."""
    gpt = GPT(BLOCKS[blocks], vocabulary=VOCABULARY, context=context, rows=rows).eval()
    with torch.no_grad():
        for parameter in (gpt.positions, gpt.row_bias):
            if parameter is not None:
                parameter.normal_()
        gpt.tokens.weight.normal_()
        gpt.head.weight.mul_(sharp)
    return gpt


class StubGPT:
    """Stands for a GPT: the logits of token i are table[i % len(table)], whatever came before."""

    device = torch.device("cpu")

    def __init__(self, table: Tensor) -> None:
        self.table, self.vocabulary = table, table.shape[1]

    def empty_cache(self, batch: int, length: int) -> list[LayerCache]:
        return []

    def writing(self, sequences: int, kept: object = None) -> AbstractContextManager[None]:
        return nullcontext()

    def prefill(self, tokens: Tensor, prefix: Tensor, cache: list[LayerCache]) -> Tensor:
        return self.table[tokens.shape[1] % len(self.table)].expand(len(prefix), -1)

    def step(self, token: Tensor, index: int, prefix_length: int, cache: list[LayerCache]) -> Tensor:
        return self.table[(index + 1) % len(self.table)].expand(len(token), -1)
