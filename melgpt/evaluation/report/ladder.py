"""Where on the way from a real sound to a generated one most is lost: vocoder, codec or prior."""

from melgpt.evaluation.references import DECODED
from melgpt.evaluation.report.names import inside_a_sentence, title
from melgpt.evaluation.report.rows import Result, figure_of, higher_is_better, overlap

LADDER_HALF = 0.5
"""Share of the whole loss from which on a stage is said to lose most."""
SET_MEASURES = ("kad", "frechet", "kid", "accuracy")
"""Measures that every stage of the ladder can have; the first that reaches furthest is used."""
PAIRED_MEASURES = ("stft_in_band", "stft", "mel_l1")
"""Measures against the very clip, 0 for itself: for the stages before `generated`."""
CODEC_STAGE = "codec + vocoder"
STAGES = (
    ("vocoder", "mel + vocoder", "real"),
    ("codec", CODEC_STAGE, "mel + vocoder"),
    ("prior", "generated", CODEC_STAGE),
)
"""Part, the stage in which it comes in, the stage before it."""
LOST_WHEN = {
    "vocoder": "when mels become sound",
    "codec": "when sounds are compressed",
    "prior": "when new sounds are written",
}
ADVICE = {
    "vocoder": "Train the vocoder longer, or choose another one (melgpt options vocoder).",
    "codec": "Train the codec longer (train.codec.steps), or let a token cover fewer frames "
    "(codec.network.stem_stride=4,2 with `tiny` and `small`).",
    "prior": "Train the prior longer or larger (train.prior.steps, prior.blocks), or on more clips; "
    "a lower --temperature or --top-p is quicker to try.",
}


def loses_most(result: Result, part: str) -> tuple[str, str] | None:
    """That this part of STAGES loses most, and what to try; None where it does not, or not clearly."""
    losses = _losses(result)
    if losses is None:
        return None
    measure, lost, clear = losses
    whole = sum(max(loss, 0.0) for loss in lost.values())
    if part not in lost or whole <= 0 or not clear[part]:
        return None
    share = lost[part] / whole
    if share < LADDER_HALF or lost[part] < max(lost.values()):
        return None
    compared = "" if "prior" in lost else " (the prior is not compared: it has no pairs)"
    return (
        f"Most quality is lost {LOST_WHEN[part]} (the {part}): {100 * share:.0f} % of the whole loss, "
        f"by {inside_a_sentence(title(measure))}{compared}.",
        ADVICE[part],
    )


def _losses(result: Result) -> tuple[str, dict[str, float], dict[str, bool]] | None:
    """The measure used, the loss of each part, and whether its two stages' intervals are apart."""
    stages = {stage.get("stage"): stage for stage in result.get("ladder") or []}
    best: tuple[str, dict[str, float], dict[str, bool]] | None = None
    for measure in (*SET_MEASURES, *PAIRED_MEASURES):
        sign = -1 if higher_is_better(result, measure) else 1
        lost, clear = {}, {}
        for part, *names in STAGES:
            # Where there is a decoder, the codec is heard through it.
            stage, before = (DECODED if n == CODEC_STAGE and DECODED in stages else n for n in names)
            after, start = figure_of(stages.get(stage), measure), figure_of(stages.get(before), measure)
            if start is None and before == "real" and measure not in SET_MEASURES:
                start = {"value": 0.0, "low": 0.0, "high": 0.0}
            if after is None or start is None:
                continue
            lost[part] = sign * (after["value"] - start["value"])
            clear[part] = overlap(after, start) is not True
        if len(lost) >= 2 and (best is None or len(lost) > len(best[1])):
            best = measure, lost, clear
    return best
