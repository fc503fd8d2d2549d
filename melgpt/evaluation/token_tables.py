"""Bits that tables of the training tokens need for other tokens: how often each occurs, and after which."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WEIGHTS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Of the plain table in the smoothed one; the best for the judged tokens counts, as strong as it can be."""


def table_bits(
    training: Sequence[NDArray[np.int64]], judged: Sequence[NDArray[np.int64]], vocabulary: int
) -> dict[str, float]:
    """Mean bits a token of the judged sequences, all but their first tokens: unigram_bits and bigram_bits.

    Half a count is added to each token; the table by the token before is smoothed towards the plain one.
    """
    count = np.bincount(np.concatenate(training), minlength=vocabulary) + 0.5
    plain = count / count.sum()
    pairs, times = np.unique(
        np.concatenate([_pairs(each, vocabulary) for each in training]), return_counts=True
    )
    before = np.bincount(pairs // vocabulary, weights=times, minlength=vocabulary)
    asked = np.concatenate([_pairs(each, vocabulary) for each in judged])
    token, previous = asked % vocabulary, asked // vocabulary
    place = np.searchsorted(pairs, asked).clip(max=len(pairs) - 1)
    seen = np.where(pairs[place] == asked, times[place], 0)
    bigram = min(
        float(-np.log2((seen + weight * plain[token]) / (before[previous] + weight)).mean())
        for weight in WEIGHTS
    )
    return {"unigram_bits": float(-np.log2(plain[token]).mean()), "bigram_bits": bigram}


def _pairs(tokens: NDArray[np.int64], vocabulary: int) -> NDArray[np.int64]:
    """Each token with the one before it, as one number."""
    return tokens[:-1] * vocabulary + tokens[1:]
