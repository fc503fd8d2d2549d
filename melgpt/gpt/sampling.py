"""Sampling from a GPT as plain functions: filter the logits, pick a token, prefill, step.

Top-p: Holtzman et al. 2019, https://arxiv.org/abs/1904.09751. Min-p: Nguyen et al. 2024,
https://arxiv.org/abs/2407.01082. Guidance: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598.
Every clip has a random stream of its own, so that it does not depend on the batch that it was made in.
"""

from collections.abc import Sequence
from typing import Self

import torch
from pydantic import model_validator
from torch import Tensor

from melgpt.config import Config
from melgpt.errors import UserError
from melgpt.gpt.model import GPT


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
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).double()
    logits = logits.double()
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
    return share / share.sum(-1, keepdim=True)


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
    guided = sampling.guidance != 1
    prefixes = torch.cat([prefix, nothing]) if guided else prefix
    batch = prefix.shape[0]
    cache = gpt.empty_cache(len(prefixes), prefix.shape[1] + length)
    tokens = torch.zeros(batch, 0, dtype=torch.int64, device=prefix.device)
    with gpt.writing(len(prefixes)):
        logits = gpt.prefill(tokens.repeat(len(prefixes) // batch, 1), prefixes, cache)
        is_end = torch.arange(logits.shape[-1], device=prefix.device) == (-1 if end is None else end)
        lengths = torch.full((batch,), length, device=prefix.device)
        for index in range(length):
            if guided:
                logits = guide(logits[:batch], logits[batch:], sampling.guidance)
            if index == 0 or index % rows:
                logits = logits.masked_fill(is_end, -torch.inf)
            uniform = _draw(streams, (lengths == length).tolist())
            token = pick(probabilities(logits.cpu(), sampling), uniform).to(prefix.device)
            lengths = torch.where(is_end[token] & (lengths == length), index, lengths)
            tokens = torch.cat([tokens, token[:, None]], dim=1)
            if bool((lengths < length).all()) or index == length - 1:
                break
            logits = gpt.step(token.repeat(len(prefixes) // batch), index, prefix.shape[1], cache)
    return [row[: int(n)] for row, n in zip(tokens, lengths, strict=True)]


def _draw(streams: Sequence[torch.Generator], going: list[bool]) -> Tensor:
    """A number in [0, 1) from each stream whose clip is still going, 0 for the others: float64 [B]."""
    draws = [
        torch.rand((), generator=stream, dtype=torch.float64) if on else torch.zeros((), dtype=torch.float64)
        for stream, on in zip(streams, going, strict=True)
    ]
    return torch.stack(draws)
