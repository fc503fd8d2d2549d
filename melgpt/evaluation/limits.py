"""Names of the measures, which way is better, what each says; and limits that a model must keep."""

import math
from collections.abc import Sequence
from typing import Any

from melgpt.errors import UserError, closest

MEANINGS: dict[str, tuple[str, str]] = {
    "frechet": ("lower", "How far the features' mean and covariance lie from those of real clips."),
    "kad": (
        "lower",
        "Kernel distance to the real clips, fair for few clips; 0 is as near as other real clips.",
    ),
    "kid": ("lower", "Kernel distance with a cubic kernel, as the originals measure it."),
    "inception_score": ("higher", "How clearly each clip is of a class, and how many classes there are."),
    "kl": ("lower", "How far the classes heard in a clip lie from those heard in a real clip of its class."),
    "accuracy": ("higher", "Share of clips in which the listeners hear the class that was asked for."),
    "cas": ("higher", "Accuracy on real clips of a listener that learnt from these clips alone."),
    "precision": (
        "higher",
        "Share of clips among the real ones; a real clip far from all others makes room for noise.",
    ),
    "recall": ("higher", "Share of real clips that lie among these."),
    "density": ("higher", "How many real neighbourhoods a clip lies in, 1 for real clips."),
    "coverage": ("higher", "Share of real clips that have one of these in their neighbourhood."),
    "vendi": ("higher", "How many clips of no likeness would be as varied."),
    "memorised": (
        "lower",
        "Share of clips flagged as copies; codec + vocoder, which are copies, tell how many are found.",
    ),
    "modulation": (
        "lower",
        "How far the bands' levels move in another way than in real clips of the class: blur in time.",
    ),
    "flatness": (
        "lower",
        "How far neighbouring bands differ in another way than in real clips of the class: lost harmonics.",
    ),
    "onsets": ("lower", "How far the steepness of rises lies from that of real clips of the class."),
    "begin": ("lower", "How far the time of the beginning lies from that of real clips of the class."),
    "length": ("lower", "How far the length lies from that of real clips of the class."),
    "peak": ("lower", "How far the level lies from that of real clips of the class."),
    "mel_l1": ("lower", "Mean difference of the mels, which go from 0 to 1."),
    "stft": ("lower", "Difference of the spectra at three resolutions, all frequencies."),
    "stft_in_band": ("lower", "Difference of the spectra at three resolutions, where the mel tells of them."),
    "envelope": ("higher", "Correlation of the level over time, in steps of 4 ms."),
    "envelope_in_band": ("higher", "Correlation of the level over time, where the mel tells of it."),
    "onset": ("lower", "Difference in dB of how steeply sounds begin."),
    "codes_used": ("higher", "Codes that occur."),
    "perplexity": ("higher", "Number of equally used codes that would be as varied."),
    "bits_per_second": ("lower", "Size of the codes."),
    "bits_per_token": ("lower", "What the prior still has to be told of each token."),
    "unigram_bits": ("lower", "Bits a token of a table of how often each token occurs."),
    "bigram_bits": ("lower", "Bits a token of a table by the token before."),
    "class_row_table_bits": ("lower", "Bits a token of a table by class and row."),
    "melception_frechet": ("lower", "FID in Melception's features, by the originals' protocol."),
    "melception_kid": ("lower", "KID in Melception's features, by the originals' protocol."),
    "melception_inception_score": ("higher", "Inception score of Melception, by the originals' protocol."),
    "melception_kl": ("lower", "Melception's divergence of pairs of one class (MKL)."),
}
_OF_CODEC = ("mel_l1", "stft", "codes_used", "perplexity", "bits_per_second")
_OF_PRIOR = ("bits_per_token",)
_OF_SOUNDS = ("stft_in_band", "envelope", "envelope_in_band", "onset")
_TABLES = ("unigram_bits", "bigram_bits", "class_row_table_bits")
_NOT_OF_CLIPS = {*_OF_CODEC, *_OF_PRIOR, *_OF_SOUNDS, *_TABLES}
LIMITED = (
    *(name for name in MEANINGS if name not in _NOT_OF_CLIPS),
    *(f"codec.{name}" for name in _OF_CODEC),
    *(f"prior.{name}" for name in _OF_PRIOR),
)
"""What a limit can be set for: measures of the generated clips, of the codec and of the prior."""


def directions() -> dict[str, str]:
    return {name: direction for name, (direction, _) in MEANINGS.items()}


def meanings() -> dict[str, str]:
    return {name: meaning for name, (_, meaning) in MEANINGS.items()}


def read_limits(texts: Sequence[str], *, melception: bool = True) -> dict[str, float]:
    """`["accuracy=0.8", "codec.mel_l1=0.05"]` → limits. Raises UserError for what is none.

    melception: whether its measures will be there.
    """
    limits = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in LIMITED:
            meant = [known for known in LIMITED if known.endswith(f".{name}")]
            hint = f"; did you mean '{meant[0]}'?" if meant else closest(name, LIMITED)
            raise UserError(f"unknown measure '{name}'{hint}")
        if name.startswith("melception_") and not melception:
            raise UserError(f"{name} is only measured with --melception FILE")
        try:
            limits[name] = float(value)
        except ValueError:
            limits[name] = math.nan
        if not equals or not math.isfinite(limits[name]):
            raise UserError(f"'{text}' is not of the form measure=number, for example accuracy=0.8")
    return limits


def check_limits(result: dict[str, Any], limits: dict[str, float]) -> None:
    """Raises UserError for the measures of the model that are worse than their limits, in one line.

    A plain name is a measure of the generated clips, `codec.` and `prior.` one of theirs.
    """
    failed = []
    for name, limit in limits.items():
        value = _value(result, name)
        direction = MEANINGS[name.rpartition(".")[2]][0]
        if value is None:
            failed.append(f"{name} was not measured (limit {limit:g})")
        elif value > limit if direction == "lower" else value < limit:
            side = "above" if direction == "lower" else "below"
            failed.append(f"{name} is {value:.4g}, {side} the limit {limit:g}")
    if failed:
        raise UserError("; ".join(failed))


def _value(result: dict[str, Any], name: str) -> float | None:
    group, dot, plain = name.partition(".")
    if dot:
        value = result.get(group, {}).get(plain)
        return None if value is None else float(value)
    for row in result["rows"]:
        if row["role"] == "model":
            measure = row["measures"].get(name)
            return None if measure is None else float(measure["value"])
    return None
