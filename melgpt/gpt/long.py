"""Sounds longer than the GPT's context: a window slides over the grid.

A plan says from which column on a window looks and which columns are written in it. The originals' plan
(SpecVQGAN, https://arxiv.org/abs/2110.08791) moves the window at every column and keeps half of it as past;
they compute the whole window anew for every token. Within a window the cache holds, so that the same plan
costs one pass a column here and gives the same tokens. `strides` costs one pass for a quarter of a window;
every column sees at least half a window of the past, as in theirs. Only the first window and the last one are
written to their end: a model has learnt that a sound is nearly over there, and guesses worse in its middle.
The memory of the cache is that of one window, whatever the length.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from melgpt.gpt.model import GPT
from melgpt.gpt.sampling import Choice, Sampling, draw
from melgpt.gpt.writing import Writer


@dataclass(frozen=True)
class Window:
    """Columns first … stop - 1 are written by a GPT that sees the grid from column `start` on."""

    start: int
    first: int
    stop: int


def centres(columns: int, context: int, *, given: int = 0) -> list[Window]:
    """The originals' plan up to so many columns: the column in work stands in the middle of the context.

    given: columns that are there already.
    """
    plan: list[Window] = []
    for column in range(given, columns):
        start = max(0, min(column - context // 2, columns - context))
        if plan and plan[-1].start == start:
            plan[-1] = replace(plan[-1], stop=column + 1)
        else:
            plan.append(Window(start, column, column + 1))
    return plan


def strides(
    columns: int, context: int, *, given: int = 0, kept: int | None = None, step: int | None = None
) -> list[Window]:
    """The first window is written full; then each keeps `kept` columns as its past and writes `step` more.

    By default they are a half and a quarter of the context. The last window ends with the sound, as in the
    originals, and writes all that is left. Raises ValueError where the context is too small.
    """
    kept = context // 2 if kept is None else kept
    step = max(1, context // 4) if step is None else step
    if kept < 0 or step < 1 or kept + step > context:
        raise ValueError(f"a window of {context} columns cannot keep {kept} and write {step} more")
    plan, done = [], given
    while done < columns:
        start, stop = (0, context) if done < context else (done - kept, done + step)
        if start > columns - context:
            start, stop = max(0, columns - context), columns
        plan.append(Window(start, done, min(columns, stop)))
        done = plan[-1].stop
    return plan


@torch.inference_mode()
def sample_windows(
    gpt: GPT,
    prefix: Callable[[int], Tensor],
    nothing: Tensor,
    *,
    plan: Sequence[Window],
    rows: int,
    codes: int,
    sampling: Sampling,
    streams: Sequence[torch.Generator],
    given: Tensor | None = None,
) -> Iterator[Tensor]:
    """New tokens [B, columns * rows] of window after window; only one window is held.

    prefix: the condition [B, P, C] of the window that starts at a column; nothing [B, P, C]: no condition.
    codes: only tokens below are drawn, so that no sound ends before its time. Each stream gives one number
    for each token of its clip. As long as one window suffices, the tokens are those of `sampling.sample`.
    given [B, S]: whole columns that are there already, those before the plan's first.
    """
    clips, device = len(streams), nothing.device
    guided = sampling.guidance != 1
    seen = torch.zeros(clips, 0, dtype=torch.int64, device=device) if given is None else given.to(device)
    begin = 0
    longest = max(window.stop - window.start for window in plan) * rows
    no_code = torch.arange(gpt.vocabulary, device=device) >= codes
    choice = Choice(sampling, lambda place: no_code, clips, longest)
    writer = Writer(
        gpt, choice, clips=clips, copies=1 + guided, prefix_length=nothing.shape[1], length=longest
    )
    for window in plan:
        start, first, stop = (column * rows for column in (window.start, window.first, window.stop))
        choice.uniforms[:, first - start : stop - start] = draw(streams, [stop - first] * clips)
        prefixes = torch.cat([prefix(window.start), nothing]) if guided else prefix(window.start)
        seen = writer.write(prefixes, seen[:, start - begin : first - begin], stop - start).clone()
        begin = start
        yield seen[:, first - start :]


def sample_long(
    gpt: GPT, prefix: Callable[[int], Tensor], nothing: Tensor, *, given: Tensor | None = None, **options: Any
) -> Tensor:
    """What `sample_windows` writes as a whole, behind what is given: [B, W * rows]."""
    written = sample_windows(gpt, prefix, nothing, given=given, **options)
    return torch.cat([*([] if given is None else [given]), *written], dim=1)
