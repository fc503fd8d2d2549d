"""The longest run of tokens that a sequence shares with any of a set, exactly, by a suffix array.

Prefix doubling (Manber and Myers 1993): all suffixes of all sequences are sorted, so that those that share
most lie side by side. N tokens take O(N log N) memory and a sort for each doubling.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST = 1 << 12
"""Beyond this a run may be told shorter than it is."""


@dataclass(frozen=True)
class Run:
    """`length` tokens from `start` on of sequence `sequence` of the set."""

    length: int
    sequence: int
    start: int


def longest_runs(wanted: Sequence[NDArray[np.int64]], known: Sequence[NDArray[np.int64]]) -> list[Run]:
    """For each wanted sequence of tokens >= 0 the longest run that stands in a known one, too.

    Where there is none its length is 0, and its place that of the first known token.
    """
    text, ends = _join([*wanted, *known])
    starts = np.concatenate([[0], ends[:-1] + 1])
    ranks = _ranks(text)
    order = np.argsort(ranks[-1], kind="stable")
    is_known = order >= starts[len(wanted)]
    place = np.arange(len(order))
    before = np.maximum.accumulate(np.where(is_known, place, -1))
    after = np.minimum.accumulate(np.where(is_known, place, len(order))[::-1])[::-1]
    best = np.zeros(len(text), np.int64)
    partner = np.full(len(text), starts[len(wanted)], np.int64)
    for nearest in (before, after):
        rows = np.flatnonzero(~is_known & (nearest >= 0) & (nearest < len(order)))
        mine, theirs = order[rows], order[nearest[rows]]
        shared = _shared(ranks, mine, theirs)
        better = shared > best[mine]
        best[mine[better]], partner[mine[better]] = shared[better], theirs[better]
    runs = []
    for first, end in zip(starts[: len(wanted)], ends[: len(wanted)], strict=True):
        top = first + int(best[first : end + 1].argmax())
        sequence = int(np.searchsorted(ends, partner[top]))
        runs.append(Run(int(best[top]), sequence - len(wanted), int(partner[top] - starts[sequence])))
    return runs


def _join(sequences: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All tokens, each sequence followed by a mark that occurs once, and the places of the marks."""
    top = max((int(tokens.max()) for tokens in sequences if len(tokens)), default=0) + 1
    parts = [np.append(tokens, top + number) for number, tokens in enumerate(sequences)]
    return np.concatenate(parts), np.cumsum([len(part) for part in parts]) - 1


def _ranks(text: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """For 1, 2, 4, … tokens: a number for what stands at each place, equal for equal, ordered as the text."""
    rank = np.unique(text, return_inverse=True)[1].astype(np.int64)
    ranks, length = [rank], 1
    while length < LONGEST and int(rank.max()) + 1 < len(text):
        following = np.zeros_like(rank)
        following[:-length] = rank[length:] + 1
        rank = np.unique(rank * (len(text) + 2) + following, return_inverse=True)[1].astype(np.int64)
        ranks.append(rank)
        length *= 2
    return ranks


def _shared(
    ranks: list[NDArray[np.int64]], one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number of equal tokens from places `one` and `other` on."""
    one, other = one.copy(), other.copy()
    shared = np.zeros(len(one), np.int64)
    last = len(ranks[0]) - 1
    for level in range(len(ranks) - 1, -1, -1):
        same = (one <= last) & (other <= last)
        same &= ranks[level][np.minimum(one, last)] == ranks[level][np.minimum(other, last)]
        step = np.where(same, 1 << level, 0)
        one, other, shared = one + step, other + step, shared + step
    return shared
