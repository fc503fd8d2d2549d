"""Token after token into a cache: each is chosen from the logits that those before it give.

On CUDA a step is a few hundred small operations, and starting them takes longer than their work: it is
recorded once, with the choice of the token, and played again for each token (CUDA graphs,
https://docs.pytorch.org/docs/stable/notes/cuda.html). Elsewhere it is a loop.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from melgpt.gpt.model import GPT, LaidOut

Choose = Callable[[Tensor, "int | Tensor"], Tensor]
"""Logits [copies * B, K] and the place of the token in the sequence → the token, int64 [B]."""
WORTH_RECORDING = 8
"""Steps from which on recording one is worth it."""
LOOK_EVERY = 32
"""Played steps after which the device is asked whether all is done: asking waits for it."""


class Writer:
    """Writes sequences of up to `length` tokens behind a prefix, B clips at a time, again and again."""

    def __init__(
        self, gpt: GPT, choose: Choose, *, clips: int, prefix_length: int, length: int, copies: int = 1
    ) -> None:
        """copies: of each clip, with prefixes of their own: 2 for guidance."""
        self.gpt, self.choose, self.copies, self.prefix_length = gpt, choose, copies, prefix_length
        device = gpt.device
        self.cache = gpt.empty_cache(copies * clips, prefix_length + length)
        self.tokens = torch.zeros(clips, length, dtype=torch.int64, device=device)
        self._place = torch.zeros(1, dtype=torch.int64, device=device)
        self._recorded: torch.cuda.CUDAGraph | None = None
        self._laid_out = LaidOut()

    def write(
        self, prefixes: Tensor, given: Tensor, stop: int, done: Callable[[Tensor], bool] | None = None
    ) -> Tensor:
        """Tokens [B, stop] that begin with given [B, S], S < stop; the next call writes over them.

        prefixes [copies * B, P, C]. done: asked now and then, with the tokens so far, whether the rest, which
        then holds anything, is not needed.
        """
        first = given.shape[1]
        self.tokens[:, :first] = given
        with self.gpt.writing(len(prefixes), self._laid_out):
            logits = self.gpt.prefill(given.repeat(self.copies, 1), prefixes, self.cache)
            self.tokens[:, first] = self.choose(logits, first)
            play = self._play if self.tokens.is_cuda else self._loop
            play(first, stop, done)
        return self.tokens[:, :stop]

    def _loop(self, first: int, stop: int, done: Callable[[Tensor], bool] | None) -> None:
        for place in range(first, stop - 1):
            if done is not None and done(self.tokens[:, : place + 1]):
                return
            token = self.tokens[:, place].repeat(self.copies)
            logits = self.gpt.step(token, place, self.prefix_length, self.cache)
            self.tokens[:, place + 1] = self.choose(logits, place + 1)

    def _play(self, first: int, stop: int, done: Callable[[Tensor], bool] | None) -> None:
        if self._recorded is None and stop - first > WORTH_RECORDING:
            self._recorded = self._record(first)
        step = self._step if self._recorded is None else self._recorded.replay
        self._place.fill_(first)
        for place in range(first, stop - 1):
            if done is not None and not (place - first) % LOOK_EVERY and done(self.tokens[:, : place + 1]):
                return
            step()

    def _record(self, first: int) -> torch.cuda.CUDAGraph:
        """One step as a graph; what it is recorded from is written over by the first that is played."""
        self._place.fill_(first)
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            self._step()  # libraries prepare themselves at their first call
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph

    def _step(self) -> None:
        """From the token at the place to the next, of tensors alone."""
        token = self.tokens.index_select(1, self._place)[:, 0].repeat(self.copies)
        logits = self.gpt.step(token, self._place, self.prefix_length, self.cache)
        self._place += 1
        self.tokens.index_copy_(1, self._place, self.choose(logits, self._place)[:, None])
