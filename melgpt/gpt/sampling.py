"""Sampling from a GPT: filter the logits, pick a token, and so on to the end of the sequence.

Top-p: Holtzman et al. 2019, https://arxiv.org/abs/1904.09751. Min-p: Nguyen et al. 2024,
https://arxiv.org/abs/2407.01082. Guidance: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598.
Every clip has a random stream of its own, so that it does not depend on the batch that it was made in.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from pydantic import model_validator
from torch import Tensor

from melgpt.checks import finite
from melgpt.config import Config
from melgpt.errors import UserError
from melgpt.gpt.model import GPT
from melgpt.gpt.writing import Writer


class Sampling(Config):
    """How the next token is chosen."""

    temperature: float = 1.0
    """Below 1 more usual, above 1 more daring; 0 always takes the most likely token."""
    top_k: int = 0
    """Only the k most likely tokens (ties are kept); 0 for all."""
    top_p: float = 1.0
    """Only the most likely tokens that together have this probability."""
    min_p: float = 0.0
    """Only tokens at least this many times as likely as the most likely one."""
    guidance: float = 1.0
    """How strongly the condition steers: 1 as learned, above 1 more typical of it, 0 not at all."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.temperature < 0 or self.top_k < 0 or self.guidance < 0:
            raise ValueError("temperature, top_k and guidance must not be negative")
        if not 0 < self.top_p <= 1 or not 0 <= self.min_p <= 1:
            raise ValueError(f"needs 0 < top_p <= 1 and 0 <= min_p <= 1, not {self.top_p} and {self.min_p}")
        return self

    @classmethod
    def checked(cls, given: dict[str, Any]) -> Self:
        """As `parse`, and refuses text that looks like a number, too: for what comes from a caller."""
        for name in cls.model_fields.keys() & given.keys():
            finite(name, given[name])
        return cls.parse(given)


def random_streams(seed: int, clips: int, first: int = 0) -> list[torch.Generator]:
    """One generator a clip; clip i's depends on seed and i alone. Raises UserError for a negative seed."""
    import numpy as np

    if seed < 0:
        raise UserError(f"the seed must be a whole number from 0 on, not {seed}")
    states = [np.random.SeedSequence([seed, first + i]).generate_state(1, np.uint64)[0] for i in range(clips)]
    return [torch.Generator().manual_seed(int(state)) for state in states]


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """logits [B, K] → float64 probabilities [B, K] after temperature and the filters."""
    if sampling.temperature == 0:
        return torch.zeros_like(logits, dtype=torch.float64).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    logits = logits.double()
    if sampling.temperature != 1:
        logits = (logits - logits.amax(-1, keepdim=True)) / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        smallest = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    share = logits.softmax(-1)
    if sampling.min_p > 0:
        share = share.masked_fill(share < sampling.min_p * share.amax(-1, keepdim=True), 0)
    if sampling.top_p < 1:
        ordered, order = share.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered
        ordered = ordered.masked_fill(before >= sampling.top_p * share.sum(-1, keepdim=True), 0)
        share = torch.zeros_like(share).scatter(-1, order, ordered)
    filtered = sampling.min_p > 0 or sampling.top_p < 1
    return share / share.sum(-1, keepdim=True) if filtered else share


def pick(share: Tensor, uniform: Tensor) -> Tensor:
    """The token [B] at which the running sum of share [B, K] passes uniform [B] in [0, 1)."""
    running = share.cumsum(-1)
    position = (uniform[:, None].to(share) * running[:, -1:]).contiguous()
    index = torch.searchsorted(running, position, right=True)[:, 0]
    # Rounding at the very end must not choose a token of probability zero.
    last = (share > 0).long().mul(torch.arange(share.shape[-1], device=share.device)).amax(-1)
    return torch.minimum(index, last)


def guide(conditioned: Tensor, unconditioned: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance on log-probabilities [B, K]."""
    conditioned, unconditioned = conditioned.log_softmax(-1), unconditioned.log_softmax(-1)
    return unconditioned + guidance * (conditioned - unconditioned)


def look_ahead(streams: Sequence[torch.Generator], count: int) -> Tensor:
    """The next numbers in [0, 1) of each stream, float64 [B, count]; the streams stay where they are."""
    copies = [torch.Generator().set_state(stream.get_state()) for stream in streams]
    return draw(copies, [count] * len(copies))


def draw(streams: Sequence[torch.Generator], counts: Sequence[int]) -> Tensor:
    """The next numbers in [0, 1) of each stream, as many as it is asked for, then 0: float64 [B, most]."""
    drawn = [
        torch.rand(count, generator=stream, dtype=torch.float64)
        for stream, count in zip(streams, counts, strict=True)
    ]
    return torch.nn.utils.rnn.pad_sequence(drawn, batch_first=True)


class Choice:
    """Chooses tokens from logits: guidance, what may not come, temperature and filters, a number a token."""

    def __init__(
        self, sampling: Sampling, never: Callable[[int | Tensor], Tensor], clips: int, length: int
    ) -> None:
        """never: place of a token in the sequence → what it may not be, bool [K], on the device.

        Probabilities are float64: on the CPU where the device has no such numbers, or they save nothing.
        """
        self.sampling, self.never = sampling, never
        device = never(0).device
        self.uniforms = torch.zeros(
            clips, length, dtype=torch.float64, device=device if device.type == "cuda" else None
        )

    def __call__(self, logits: Tensor, place: int | Tensor) -> Tensor:
        """Logits [B, K], with guidance those without the condition behind them, [2 B, K] → tokens [B].

        The place: a number, or int64 [1] on the device.
        """
        if self.sampling.guidance != 1:
            conditioned, unconditioned = logits.chunk(2)
            logits = guide(conditioned, unconditioned, self.sampling.guidance)
        logits = logits.masked_fill(self.never(place), -torch.inf)
        uniform = self.uniforms[:, place] if isinstance(place, int) else self.uniforms.index_select(1, place)
        share = probabilities(logits.to(self.uniforms.device), self.sampling)
        return pick(share, uniform.reshape(len(share))).to(logits.device)


@torch.inference_mode()
def sample(
    gpt: GPT,
    prefix: Tensor,
    nothing: Tensor,
    *,
    length: int,
    end: int | None,
    rows: int,
    sampling: Sampling,
    streams: Sequence[torch.Generator],
) -> list[Tensor]:
    """New token sequences, one for each row of prefix [B, P, C]: whole columns, at most `length` tokens.

    nothing [B, P, C] is the prefix of no condition; `end`, if any, may be drawn at the top of any column but
    the first. One stream a clip: it gives one number for each token of its clip and no more, so that it
    stands at the same place whatever the batch. Raises ValueError for a length that is not whole columns.
    """
    if length % rows:
        raise ValueError(f"{length} tokens are not whole columns of {rows} rows")
    clips, device = len(prefix), prefix.device
    is_end = torch.arange(gpt.vocabulary, device=device) == (-1 if end is None else end)
    choice = Choice(sampling, lambda place: is_end & ((place == 0) | (place % rows != 0)), clips, length)
    choice.uniforms.copy_(look_ahead(streams, length))
    prefixes = torch.cat([prefix, nothing]) if sampling.guidance != 1 else prefix
    writer = Writer(
        gpt,
        choice,
        clips=clips,
        copies=len(prefixes) // clips,
        prefix_length=prefix.shape[1],
        length=length,
    )
    given = torch.zeros(clips, 0, dtype=torch.int64, device=device)
    done = None if end is None else lambda tokens: bool((tokens == end).any(1).all())
    tokens = writer.write(prefixes, given, length, done)
    ended = tokens == (-1 if end is None else end)
    lengths = torch.where(ended.any(1), ended.int().argmax(1), length).tolist()
    draw(streams, [min(n + 1, length) for n in lengths])
    return [row[:n] for row, n in zip(tokens, lengths, strict=True)]
