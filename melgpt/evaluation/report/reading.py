"""A result in plain words: what is weak and what to try, from rules that are stated beside what they say."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from melgpt.evaluation.report.ladder import STAGES, loses_most
from melgpt.evaluation.report.names import inside_a_sentence, number, title, with_interval
from melgpt.evaluation.report.rows import (
    Result,
    Row,
    ceiling,
    figure_of,
    measures_of,
    model_row,
    overlap,
    reference,
    rows_of,
    value_of,
)

LISTENER_ENOUGH = 0.7
"""Accuracy on real test clips from which on a listener may judge."""
BLURRED = 2.5
"""How many times as far as real clips from each other new ones are that are called blurred."""
ACCURACY_GAP = 0.1
"""Accuracy below the ceiling that is worth a sentence."""
DIVERSITY_LOW = 0.6
"""Share of the ceiling's recall, coverage or Vendi score below which variety is low."""
PRECISION_HIGH, PRECISION_LOW = 0.8, 0.6
"""Shares of the ceiling's precision from which on it is high, and below which it is low."""
TABLE_SHARE = 0.97
"""Share of the best table's bits above which the prior is hardly better than the table."""
GUIDANCE_MOST = 7.0
"""The most that was tried (docs/LOG.md)."""
CHANCE_FLAGS = 0.02
"""Share of clips that no copying flags: two signs, each true of 1 % of held-out clips."""
MOST_CLASSES = 5
Z_OF_95 = 1.959964
REAL = "real sounds"


@dataclass(frozen=True)
class Finding:
    """Something to know: what was found, what to try, and the rule that said so."""

    rule: str
    what: str
    advice: str
    when: str


@dataclass(frozen=True)
class Rule:
    """`check` gives what was found and what to try, or None; `when` states it for the reader."""

    name: str
    when: str
    check: Callable[[Result], tuple[str, str] | None]


def read(result: Result) -> list[Finding]:
    """What the rules find, in their order."""
    found = []
    for rule in RULES:
        if said := rule.check(result):
            found.append(Finding(rule.name, *said, rule.when))
    return found


def headline(result: Result) -> str:
    """The first sentences: how the generated sounds stand, held against real ones."""
    row = model_row(result)
    if row is None:
        return "The result holds no sounds of a model."
    sentences = [f"{row.get('clips', 'Some')} generated clips were measured."]
    accuracy = figure_of(row, "accuracy")
    if accuracy:
        sentences.append(
            f"A listener hears the asked class in {number(accuracy['value'], 'accuracy')} of them"
            f"{_beside(result, 'accuracy')}."
        )
    distance = next((name for name in ("frechet", "kad", "kid") if figure_of(row, name)), None)
    if distance:
        sentences.append(
            f"Their {inside_a_sentence(title(distance))} from real sounds is "
            f"{number(value_of(row, distance))}"
            f"{_beside(result, distance)}."
        )
    return " ".join(sentences)


def _beside(result: Result, measure: str) -> str:
    row = reference(result, measure)
    return f" (“{row['name']}”: {number(value_of(row, measure), measure)})" if row else ""


def _listener(result: Result) -> tuple[str, str] | None:
    weak = []
    for listener in result.get("listeners") or []:
        accuracy = listener.get("test_accuracy") or {}
        value = accuracy.get("value")
        chance = 1 / max(len(result.get("model", {}).get("labels") or []), 1)
        low = accuracy.get("low")
        if value is not None and (value < LISTENER_ENOUGH or (low is not None and low <= chance < 1)):
            weak.append(f"{listener['name']} ({with_interval(accuracy, 'test_accuracy')})")
    if not weak:
        return None
    return (
        f"The listener is too weak to judge; on real test clips it is right in: {', '.join(weak)}.",
        "Read what follows with care and trust your ears more; train the listeners longer "
        "(train.classifier) or on more clips.",
    )


def _blur(result: Result) -> tuple[str, str] | None:
    row, worst = model_row(result), None
    for measure in ("modulation", "flatness"):
        mine, real = value_of(row, measure), value_of(reference(result, measure), measure)
        if mine is not None and real and mine > BLURRED * real and (worst is None or mine / real > worst[0]):
            worst = mine / real, measure, mine, real
    if worst is None:
        return None
    _, measure, mine, real = worst
    return (
        f"The new sounds are blurred, or too rough: their {inside_a_sentence(title(measure))} is "
        f"{number(mine)}, that of real clips {number(real)}.",
        "Give the recipe a decoder (decoder.kind=flow), or train it longer (train.decoder.steps).",
    )


def _steering(result: Result) -> tuple[str, str] | None:
    model, real = figure_of(model_row(result), "accuracy"), ceiling(result, "accuracy")
    best = figure_of(real, "accuracy")
    if model is None or best is None or real is None:
        return None
    if best["value"] - model["value"] < ACCURACY_GAP or overlap(model, best) is True:
        return None
    return (
        f"The class steers the sound weakly: {number(model['value'], 'accuracy')} are heard as what was "
        f"asked for, against {number(best['value'], 'accuracy')} for “{real['name']}”.",
        _steer_more(result),
    )


def _steer_more(result: Result) -> str:
    """Guidance is for a prior that learnt without its class, too, and was not guided as far as that goes."""
    sampling = (result.get("protocol") or {}).get("sampling") or {}
    used, suited = sampling.get("guidance", 1.0), (result.get("model") or {}).get("guidance") or 1.0
    if suited <= 1 or used >= GUIDANCE_MOST:
        return "Train the prior longer (train.prior.steps)."
    return (
        f"Generate with more --guidance (it was {used:g}; up to {GUIDANCE_MOST:g}), or train the prior "
        "longer (train.prior.steps)."
    )


def _weak_classes(result: Result) -> tuple[str, str] | None:
    row = model_row(result)
    whole = figure_of(row, "accuracy")
    if row is None or whole is None or whole.get("low") is None:
        return None
    classes = row.get("per_class") or {}
    clips = (row.get("clips") or 0) / max(len(classes), 1)
    weak = []
    for label, measures in classes.items():
        value = (measures.get("accuracy") or {}).get("value")
        if value is not None and _most(value, clips) < whole["low"]:
            weak.append((value, label))
    if not weak:
        return None
    shown = ", ".join(
        f"{label} ({number(value, 'accuracy')})" for value, label in sorted(weak)[:MOST_CLASSES]
    )
    more = f" and {len(weak) - MOST_CLASSES} more" if len(weak) > MOST_CLASSES else ""
    return (
        f"Some classes are recognised more rarely than the others: {shown}{more}.",
        "Look whether these have few or mixed clips in the training set, and listen to them first.",
    )


def _most(share: float, clips: float) -> float:
    """Upper end of a share's 95 % interval (Wilson 1927): unlike drawing again, it holds for none of few."""
    if clips <= 0:
        return 1.0
    z = Z_OF_95
    spread = z * math.sqrt(share * (1 - share) / clips + z * z / (4 * clips * clips))
    return (share + z * z / (2 * clips) + spread) / (1 + z * z / clips)


def _share(result: Result, measure: str) -> float | None:
    """The model's value as a share of the ceiling's."""
    value, best = value_of(model_row(result), measure), value_of(ceiling(result, measure), measure)
    return None if value is None or not best else value / best


def _diversity(result: Result) -> tuple[str, str] | None:
    precision = _share(result, "precision")
    low = {
        measure: share
        for measure in ("recall", "coverage", "vendi")
        if (share := _share(result, measure)) is not None and share < DIVERSITY_LOW
    }
    if len(low) < 2 or precision is None or precision < PRECISION_HIGH:
        return None
    shown = ", ".join(f"{inside_a_sentence(title(name))} {100 * share:.0f} %" for name, share in low.items())
    return (
        "The sounds are good, but too much alike: of what real sounds through the codec reach they have "
        f"{shown}, at {100 * precision:.0f} % of the precision.",
        "Raise --temperature or --top-p, lower --guidance; if that does not help, stop the prior earlier or "
        "train it on more clips.",
    )


def _fidelity(result: Result) -> tuple[str, str] | None:
    share = _share(result, "precision")
    if share is None or share >= PRECISION_LOW:
        return None
    return (
        f"Many sounds lie where no real sound does: their precision is {100 * share:.0f} % of "
        "what real sounds through the codec reach.",
        "Lower --temperature or --top-p; see in the ladder which part loses most.",
    )


def _memorised(result: Result) -> tuple[str, str] | None:
    memory = result.get("memorisation") or {}
    flagged, clips = memory.get("flagged") or 0, len(memory.get("clips") or [])
    if not flagged:
        return None
    look = "looks like a copy" if flagged == 1 else "look like copies"
    if flagged <= math.ceil(CHANCE_FLAGS * clips):
        return (
            f"{flagged} of {clips} generated clips {look}: no more than chance would flag.",
            "Listen to the pairs below to be sure.",
        )
    return (
        f"{flagged} of {clips} generated clips {look} of training clips, more than chance would flag.",
        "Listen to the pairs below. More clips, more augmentation (train.prior.augment), more dropout "
        "(prior.blocks.dropout) or fewer steps of the prior make copies rarer.",
    )


def _prior_table(result: Result) -> tuple[str, str] | None:
    prior = result.get("prior") or {}
    tables = ("unigram_bits", "bigram_bits", "class_row_table_bits")
    best = min((prior[name] for name in tables if prior.get(name) is not None), default=None)
    bits = prior.get("bits_per_token")
    if bits is None or best is None or bits <= TABLE_SHARE * best:
        return None
    return (
        f"The prior needs {number(bits)} bits a token, hardly fewer than a table of counts ({number(best)}).",
        "Train it longer (train.prior.steps) or on more clips before judging its sounds.",
    )


def _too_few(result: Result) -> tuple[str, str] | None:
    row = model_row(result)
    if row is None:
        return None
    seen, blurred, real, control = 0, 0, [], []
    for measure in measures_of([row]):
        met = _met(result, row, measure)
        seen += bool(met)
        blurred += any(met.values())
        words = inside_a_sentence(title(measure))
        real += [words] if met.pop(REAL, False) else []
        control += [f"{words} (“{name}”)" for name in [name for name, each in met.items() if each][:1]]
    if not blurred or 2 * blurred < seen:
        return None
    near = f"from real sounds in {len(real)} of {seen} measures ({', '.join(real)})"
    bad = f"from a control, which is clearly worse, in {len(control)} of {seen} ({', '.join(control)})"
    told = "; nor ".join([near] * bool(real) + [bad] * bool(control))
    return (
        f"{row.get('clips', 'So few')} clips are too few: the model cannot be told {told}.",
        "Evaluate with more clips (-n): overlapping intervals prove neither good nor bad sounds.",
    )


def _met(result: Result, row: Row, measure: str) -> dict[str, bool]:
    """Whether the model's interval meets that of REAL sounds, and of each control by its name, where they
    have intervals. A control that does as well as real sounds in a measure (copies do) tells nothing there.
    """
    mine, best = figure_of(row, measure), figure_of(reference(result, measure), measure)
    if mine is None:
        return {}
    against = {each["name"]: figure_of(each, measure) for each in rows_of(result, "control")}
    told = {n: each for n, each in against.items() if each and (best is None or overlap(best, each) is False)}
    others = {**({} if best is None else {REAL: best}), **told}
    met = {name: overlap(mine, each) for name, each in others.items()}
    return {name: each for name, each in met.items() if each is not None}


def _part(part: str) -> Callable[[Result], tuple[str, str] | None]:
    return lambda result: loses_most(result, part)


_LADDER = (
    "In the ladder, the step to the {stage} is the largest, makes at least half of the whole loss, and the "
    "intervals of the two stages are apart."
)
RULES = (
    Rule(
        "listener",
        f"A listener is right on fewer than {100 * LISTENER_ENOUGH:.0f} % of the real test clips, or its "
        "interval reaches chance.",
        _listener,
    ),
    *(Rule(part, _LADDER.format(stage=f"stage “{stage}”"), _part(part)) for part, stage, _ in STAGES),
    Rule(
        "blur",
        f"The distance of modulation or of spectral detail is over {BLURRED:g} times that of real clips.",
        _blur,
    ),
    Rule(
        "prior no better than a table",
        f"The bits a token are more than {100 * TABLE_SHARE:.0f} % of those of the best table.",
        _prior_table,
    ),
    Rule(
        "steering",
        f"Accuracy lies {100 * ACCURACY_GAP:.0f} points or more below that of the last ceiling row, and "
        "their intervals are apart.",
        _steering,
    ),
    Rule(
        "classes",
        "The upper end of a class's accuracy (Wilson's interval) is below the lower end of the accuracy of "
        "all.",
        _weak_classes,
    ),
    Rule(
        "diversity",
        f"Two of recall, coverage and Vendi score are below {100 * DIVERSITY_LOW:.0f} % of the last "
        f"ceiling row's, with precision at {100 * PRECISION_HIGH:.0f} % of it or more.",
        _diversity,
    ),
    Rule("fidelity", f"Precision is below {100 * PRECISION_LOW:.0f} % of the last ceiling row's.", _fidelity),
    Rule(
        "memorisation",
        f"A generated clip is flagged; up to {100 * CHANCE_FLAGS:.0f} % may be by chance.",
        _memorised,
    ),
    Rule(
        "few clips",
        "In at least half of the measures, the model's interval overlaps that of the row of real sounds or "
        "of a control that is clearly worse than it.",
        _too_few,
    ),
)
