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
    "memorised": "Suspected copies",
    "melception_frechet": "FID of Melception",
    "melception_kid": "KID of Melception",
    "melception_inception_score": "Inception score of Melception",
    "melception_kl": "MKL of Melception",
    "modulation": "Distance of modulation",
    "flatness": "Distance of spectral detail",
    "onsets": "Distance of onsets",
    "begin": "Distance of beginnings",
    "length": "Distance of lengths",
    "peak": "Distance of levels",
    "mel_l1": "Mel L1",
    "mean_mel_l1": "Mel L1 of the mean mel",
    "stft": "STFT distance",
    "stft_in_band": "STFT distance in the mel's band",
    "envelope": "Correlation of envelopes",
    "envelope_in_band": "Correlation of envelopes in the mel's band",
    "onset": "Onset distance",
    "codes": "Codes there are",
    "codes_used": "Codes used",
    "perplexity": "Perplexity of the codes",
    "tokens_per_second": "Tokens a second",
    "bits_per_second": "Bits a second",
    "bits_per_token": "Bits a token",
    "uniform_bits": "Bits a token of a blind guess",
    "unigram_bits": "Bits a token of a unigram",
    "bigram_bits": "Bits a token of a bigram",
    "row_table_bits": "Bits a token of a table by row",
    "class_row_table_bits": "Bits a token of a table by class and row",
    "wrong_class_bits": "Bits a token when told a wrong class",
}
SHARES = frozenset({"accuracy", "cas", "test_accuracy", "memorised"})
"""Measures written in per cent."""
UNIT_RANGE = SHARES | {"precision", "recall", "coverage"}
"""Measures that lie in [0, 1]."""
COUNTS = frozenset({"codes", "codes_used"})
MISSING = "–"

Figure = dict[str, Any]
"""`{"value", "low", "high"}`: a measure with its 95 % interval, each a number or None."""


def title(measure: str) -> str:
    return TITLES.get(measure) or measure.replace("_", " ").capitalize()


def inside_a_sentence(words: str) -> str:
    """A title with a small first letter, unless it is a name."""
    return (
        words
        if words.startswith(("Fréchet", "Vendi", "STFT", "Kullback", "FID", "KID", "MKL"))
        else words[0].lower() + words[1:]
    )


def number(value: float | None, measure: str = "") -> str:
    """Three figures, per cent for SHARES, a dash for what is not there."""
    if value is None or not math.isfinite(value):
        return MISSING
    if measure in SHARES:
        return f"{100 * value:.1f} %".replace("-", "−")
    if value == 0 or measure in COUNTS:
        return f"{value:.0f}"
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
