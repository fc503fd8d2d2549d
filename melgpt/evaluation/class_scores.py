"""What a classifier thinks of generated sounds: how clear and varied, and how near to their originals.

Logits are rows [N, classes]. The defaults of the options are the originals'.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax

from melgpt.errors import UserError
from melgpt.evaluation.checks import check_widths, checked_samples
from melgpt.evaluation.distances import Spread


def inception_score(logits: ArrayLike, *, splits: int = 10, seed: int | None = 2020) -> Spread:
    """exp of the mean KL(p(class | sound) || p(class)), from 1 to the number of classes; logits [N, classes].

    Large where each sound is of one class for certain and the classes vary. Salimans et al. 2016,
    https://arxiv.org/abs/1606.03498; the originals give it logits without the last layer's bias
    (`logits_unbiased`). seed: of the order in which samples are dealt to the splits; None leaves them as
    they come. Raises UserError for fewer samples than splits and for NaN.
    """
    if splits < 1:
        raise UserError(f"at least one split is needed, not {splits}")
    rows = checked_samples("logits", logits, splits)
    if seed is not None:
        rows = rows[np.random.RandomState(seed).permutation(len(rows))]
    edges = [len(rows) * i // splits for i in range(splits + 1)]
    scores = [_clarity(rows[start:end]) for start, end in pairwise(edges)]
    return Spread(float(np.mean(scores)), float(np.std(scores)))


def paired_divergence(generated: ArrayLike, real: ArrayLike, *, epsilon: float = 1e-6) -> float:
    """Mean KL(real || generated) of the class distributions of pairs, from logits [N, classes] of both.

    Row i of both is one pair, see `pairing`; a real sound may stand in several. The relevance measure (MKL)
    of Iashin and Rahtu 2021, https://arxiv.org/abs/2110.08791. epsilon: added to the generated
    probabilities. Raises UserError for no pairs, for unequal sizes and for NaN.
    """
    fake, true = checked_samples("generated", generated), checked_samples("real", real)
    check_widths(("generated", "real"), fake, true)
    if len(fake) != len(true):
        raise UserError(f"pairs have as many real as generated samples, not {len(true)} and {len(fake)}")
    share = softmax(true, axis=1)
    divergence = share * (log_softmax(true, axis=1) - np.log(softmax(fake, axis=1) + epsilon))
    return float(divergence.sum(1).mean())


def _clarity(logits: NDArray[np.float64]) -> float:
    share, log_share = softmax(logits, axis=1), log_softmax(logits, axis=1)
    return float(np.exp((share * (log_share - np.log(share.mean(0)))).sum(1).mean()))
