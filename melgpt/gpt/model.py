"""The GPT: tokens and a prefix of vectors in, logits of the next token out; it knows no sounds, no labels.

`Transformer` is what it shares with an encoder of tokens: embeddings, positions, blocks.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melgpt.native.kernels import Kernels, find_kernels
from melgpt.native.on_gpu import find_gpu_kernels, gpu_kernels_in
from melgpt.nn.dropout import Dropout
from melgpt.nn.linear import Linear, Products, most_rows, packed
from melgpt.nn.recorded import RecordedBlocks
from melgpt.nn.transformer import Angles, Block, BlockConfig, LayerCache, Place, norm, rotary_angles
from melgpt.runtime import threads

SMALL_BYTES = 64 << 20
"""Weights, times sequences at a time, from which on a second core pays: half as many with the kernels."""


class Transformer(nn.Module):
    """Code tokens, after a prefix of vectors if any, → a vector of width C for each position.

    With `rows` > 0 each token also gets an embedding of its row in the grid.
    """

    def __init__(
        self, config: BlockConfig, *, vocabulary: int, context: int, rows: int = 0, causal: bool = True
    ) -> None:
        """context: most positions (prefix and tokens); rows: rows H of the grid, 0 for none."""
        super().__init__()
        self.config, self.vocabulary, self.context, self.rows = config, vocabulary, context, rows
        self.tokens = nn.Embedding(vocabulary, config.width)
        self.row_embedding = nn.Embedding(rows, config.width) if rows else None
        learned = config.positions == "learned"
        self.positions = nn.Parameter(torch.zeros(context, config.width)) if learned else None
        self.dropout = Dropout(config.dropout)
        self._all_angles: Angles | None = None
        self.blocks = nn.ModuleList(Block(config, causal=causal) for _ in range(config.layers))
        self.norm = norm(config)

    def _embed(self, tokens: Tensor, first: int | Tensor) -> Tensor:
        x = self.tokens(tokens)
        if self.row_embedding is None:
            return x
        return x + self._by_row(self.row_embedding.weight, first, tokens.shape[1])

    def _by_row(self, table: Tensor, first: int | Tensor, count: int) -> Tensor:
        """Of table [rows, D] the lines of the rows of tokens first … first + count - 1, [count, D]."""
        if count == 1:
            return _lines(table, first % self.rows, 1)
        if isinstance(first, Tensor):
            raise ValueError("a place that a tensor tells is that of one token")
        # As an embedding, whose gradients are summed in one order whatever the threads.
        return F.embedding(torch.arange(first, first + count, device=table.device) % self.rows, table)

    def _blocks(self, x: Tensor, start: int | Tensor, cache: list[LayerCache] | None) -> Tensor:
        count = x.shape[1]
        if isinstance(start, int) and start + count > self.context:
            raise ValueError(f"{start + count} positions are more than the {self.context} of this model")
        if self.positions is not None:
            x = x + _lines(self.positions, start, count)
        angles = self._angles(start, count, x.device)
        x = self.dropout(x).to(self._precision)
        return self.norm(self._through(x, start, angles, cache).to(self.tokens.weight.dtype))

    def _through(
        self, x: Tensor, start: int | Tensor, angles: Angles | None, cache: list[LayerCache] | None
    ) -> Tensor:
        """All blocks, one after the other."""
        place = _place(start, cache)
        for i, block in enumerate(self.blocks):
            x = block(x, place, angles, None if cache is None else cache[i])
        return x

    @property
    def _precision(self) -> torch.dtype:
        """Of what passes from block to block: that of their weights."""
        return next(layer.weight.dtype for layer in self.blocks.modules() if isinstance(layer, Linear))

    def to_bf16(self) -> None:
        """Hold the blocks' matrices in bf16; embeddings and head stay: rounded, they would show."""
        for layer in self.blocks.modules():
            if isinstance(layer, Linear):
                layer.to(torch.bfloat16)

    def _angles(self, start: int | Tensor, count: int, device: torch.device) -> Angles | None:
        """The rotary angles of positions start … start + count - 1, the same in all blocks."""
        if self.positions is not None:
            return None
        if self._all_angles is None or self._all_angles[0].device != device:
            # Made once, for training too, even where the first to ask for them draws no gradients.
            with torch.inference_mode(False):
                length = self.config.width // self.config.heads
                self._all_angles = rotary_angles(torch.arange(self.context, device=device), length)
        cosine, sine = self._all_angles
        return _lines(cosine, start, count), _lines(sine, start, count)


def _lines(table: Tensor, first: int | Tensor, count: int) -> Tensor:
    """Of table [N, D] the lines first … first + count - 1; a tensor [1] stands for one line."""
    return table[first : first + count] if isinstance(first, int) else table.index_select(0, first)


def _place(start: int | Tensor, cache: list[LayerCache] | None) -> int | Place:
    if isinstance(start, int):
        return start
    if cache is None:
        raise ValueError("a position that a tensor tells needs a cache")
    return Place.at(start, cache)


def initialise(module: nn.Module) -> None:
    """N(0, 0.02) as minGPT; for `Module.apply`."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class GPT(Transformer):
    """Decoder-only transformer over code tokens; a prefix carries the condition.

    With `rows` > 0 each row of the grid has an output bias of its own, which training starts at the rows'
    log-frequencies.
    """

    def __init__(self, config: BlockConfig, *, vocabulary: int, context: int, rows: int = 0) -> None:
        super().__init__(config, vocabulary=vocabulary, context=context, rows=rows)
        self.row_bias = nn.Parameter(torch.zeros(rows, vocabulary)) if rows else None
        self.head = Linear(config.width, vocabulary, bias=False)
        self.apply(initialise)
        self.write_quickly(rounded=False, kernels=True)
        self._by_kernels = False
        self._laid_out = LaidOut()

    def _through(
        self, x: Tensor, start: int | Tensor, angles: Angles | None, cache: list[LayerCache] | None
    ) -> Tensor:
        kernels_alone = self._by_kernels and self.device.type == "cpu"
        if not kernels_alone or cache is None or x.shape[1] > 1 or isinstance(start, Tensor):
            return super()._through(x, start, angles, cache)
        kept = self._laid_out
        if kept.recorded is None or kept.recorded.cache is not cache:
            kept.recorded = RecordedBlocks(list(self.blocks), cache)
        return kept.recorded(x, start, angles)

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return self.head.weight.device

    @property
    def _precision(self) -> torch.dtype:
        """The kernels take float32, and round it themselves where they may."""
        return torch.float32 if self._by_kernels else super()._precision

    def forward(self, tokens: Tensor, prefix: Tensor) -> Tensor:
        """tokens [B, S] int64, prefix [B, P, C] → logits [B, S + 1, K] of tokens 0 … S (P >= 1)."""
        x = self._blocks(torch.cat([prefix, self._embed(tokens, 0)], dim=1), 0, None)
        return self._logits(x[:, prefix.shape[1] - 1 :], 0)

    def empty_cache(self, batch: int, length: int) -> list[LayerCache]:
        """A cache with room for `length` positions, in bf16 where weights may be read as that, too."""
        shape = (batch, self.config.heads, length, self.config.width // self.config.heads)
        halves = self._rounded and self._kernels() is not None
        kind = torch.bfloat16 if halves else self._precision
        # A step whose place is a tensor sees all room, and gives what is not yet written a weight of 0.
        zeros = partial(torch.zeros, shape, dtype=kind, device=self.device)
        return [LayerCache(zeros(), zeros()) for _ in self.blocks]

    def write_quickly(self, *, rounded: bool, kernels: bool) -> None:
        """How `writing` may lay it out: with weights read as bf16, with kernels that are compiled for it."""
        self._rounded, self._compiled = rounded, kernels

    def _kernels(self) -> Kernels | None:
        return find_kernels() if self._compiled and self.device.type == "cpu" else None

    @contextmanager
    def writing(self, sequences: int, kept: "LaidOut | None" = None) -> Iterator[None]:
        """Laid out for `step` with so many sequences at a time, until the end of the block, in one thread.

        kept: what was made for an earlier block with the same weights, sequences and cache, empty at first.

        On one core where no product is worth two: those of a small GPT are over before a second has begun.
        Where all products are the kernels', they have the cores, and torch one: its threads are slow to wake.
        """
        if self._compiled and self.device.type == "cuda" and (on_gpu := find_gpu_kernels()) is not None:
            with self._by(True, LaidOut()), gpu_kernels_in(self, on_gpu):
                yield
            return
        kernels = self._kernels()
        size = sum(4 * p.numel() for p in self.blocks.parameters()) * (2 if kernels else 1)
        cores = torch.get_num_threads() if size * sequences >= SMALL_BYTES else 1
        by_kernels = kernels is not None and self._rounded and sequences <= most_rows()
        kept = LaidOut() if kept is None else kept
        with (
            self._by(by_kernels, kept),
            packed(self, sequences, kernels, rounded=self._rounded, kept=kept.products),
            kernels.on(cores) if kernels else nullcontext(),
            threads(1 if by_kernels else cores),
        ):
            yield

    @contextmanager
    def _by(self, kernels: bool, kept: "LaidOut") -> Iterator[None]:
        """Whether all products are kernels', until the end of the block."""
        self._by_kernels, self._laid_out = kernels, kept
        try:
            yield
        finally:
            self._by_kernels, self._laid_out = False, LaidOut()

    def prefill(self, tokens: Tensor, prefix: Tensor, cache: list[LayerCache]) -> Tensor:
        """Like `forward`, filling the cache; logits [B, K] of the token after the last one only."""
        x = self._blocks(torch.cat([prefix, self._embed(tokens, 0)], dim=1), 0, cache)
        return self._logits(x[:, -1:], tokens.shape[1])[:, 0]

    def step(self, token: Tensor, index: int | Tensor, prefix_length: int, cache: list[LayerCache]) -> Tensor:
        """token [B], the one at `index` of the sequence → logits [B, K] of the token at index + 1.

        index: a number, or int64 [1] on the device, so that a step recorded once can be played at any.
        """
        x = self._blocks(self._embed(token[:, None], index), prefix_length + index, cache)
        return self._logits(x, index + 1)[:, 0]

    def _logits(self, x: Tensor, first: int | Tensor) -> Tensor:
        """x [B, S, C], the outputs that predict tokens first, first + 1, …"""
        logits = self.head(x)
        if self.row_bias is None:
            return logits
        return logits + self._by_row(self.row_bias, first, x.shape[1])

    @torch.no_grad()
    def start_at_frequencies(self, count: Tensor) -> None:
        """Set the output bias to the log-frequencies of count [rows, K]: the starting point is that table."""
        if self.row_bias is None:
            raise ValueError("a GPT without rows has no output bias")
        share = (count + 0.5) / (count + 0.5).sum(1, keepdim=True)
        self.row_bias.copy_(share.log() + math.log(self.vocabulary))


@dataclass
class LaidOut:
    """What a GPT on a CPU is laid out with while it writes."""

    products: Products = field(default_factory=dict)
    recorded: RecordedBlocks | None = None


def weight_decay_groups(module: nn.Module, decay: float) -> list[dict[str, object]]:
    """Parameter groups for AdamW: decay on the matrices of linear layers alone."""
    linear = {id(m.weight) for m in module.modules() if isinstance(m, nn.Linear)}
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if id(p) in linear], "weight_decay": decay},
        {"params": [p for p in parameters if id(p) not in linear], "weight_decay": 0.0},
    ]
