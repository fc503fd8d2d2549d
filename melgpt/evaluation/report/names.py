"""How measures, and numbers of them, are written for people."""

import math
from typing import Any

TITLES = {
    "frechet": "Fréchet distance",
    "kad": "Kernel audio distance",
    "kid": "Kernel inception distance",
    "inception_score": "Inception score",
    "kl": "Kullback-Leibler (paired)",
    "accuracy": "Accuracy of the listener",
    "cas": "Classification accuracy score",
    "test_accuracy": "Accuracy on real test clips",
    "precision": "Precision",
    "recall": "Recall",
    "density": "Density",
    "coverage": "Coverage",
    "vendi": "Vendi score",
    "mel_l1": "Mel L1",
    "stft": "STFT distance",
    "stft_in_band": "STFT distance in the mel's band",
    "envelope": "Envelope distance",
    "onset": "Onset distance",
    "codes_used": "Codes used",
    "perplexity": "Perplexity of the codes",
    "bits_per_second": "Bits a second",
    "bits_per_token": "Bits a token",
    "unigram_bits": "Bits a token of a unigram",
    "bigram_bits": "Bits a token of a bigram",
    "class_row_table_bits": "Bits a token of a table by class and row",
}
SHARES = frozenset({"accuracy", "cas", "test_accuracy"})
"""Measures written in per cent."""
UNIT_RANGE = SHARES | {"precision", "recall", "coverage"}
"""Measures that lie in [0, 1]."""
MISSING = "–"

Figure = dict[str, Any]
"""`{"value", "low", "high"}`: a measure with its 95 % interval, each a number or None."""


def title(measure: str) -> str:
    return TITLES.get(measure, measure.replace("_", " "))


def inside_a_sentence(words: str) -> str:
    """A title with a small first letter, unless it is a name."""
    return (
        words if words.startswith(("Fréchet", "Vendi", "STFT", "Kullback")) else words[0].lower() + words[1:]
    )


def number(value: float | None, measure: str = "") -> str:
    """Three figures, per cent for SHARES, a dash for what is not there."""
    if value is None or not math.isfinite(value):
        return MISSING
    if measure in SHARES:
        return f"{100 * value:.1f} %".replace("-", "−")
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    shown = f"{value:.{min(places, 5)}f}" if abs(value) < 1e6 else f"{value:.3g}"
    return shown.replace("-", "−")


def interval(figure: Figure, measure: str = "") -> str:
    """`[low, high]`, or nothing where there is none."""
    low, high = figure.get("low"), figure.get("high")
    return "" if low is None or high is None else f"[{number(low, measure)}, {number(high, measure)}]"


def with_interval(figure: Figure | None, measure: str = "") -> str:
    """`0.712 [0.650, 0.780]`."""
    if figure is None:
        return MISSING
    return f"{number(figure.get('value'), measure)} {interval(figure, measure)}".strip()
