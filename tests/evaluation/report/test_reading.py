"""Each rule of the reading speaks when it should, and is silent otherwise."""

from collections.abc import Callable
from typing import Any

import pytest

from made_report import figure, made_result
from melgpt.evaluation.report.reading import RULES, headline, read

Change = Callable[[dict[str, Any]], Any]


def _model(**measures: Any) -> Change:
    return lambda result: result["rows"][2]["measures"].update(measures)


def _blurred(result: dict[str, Any]) -> None:
    result["rows"][0]["measures"]["flatness"] = figure(0.6)
    result["rows"][2]["measures"]["flatness"] = figure(1.6)


def _ladder(**values: float) -> Change:
    names = {"real": 0, "vocoder": 1, "codec": 2, "generated": 3}

    def change(result: dict[str, Any]) -> None:
        for name, value in values.items():
            result["ladder"][names[name]]["measures"]["frechet"] = figure(value, 0.3)

    return change


def _few(result: dict[str, Any]) -> None:
    for name, measure in result["rows"][2]["measures"].items():
        result["rows"][2]["measures"][name] = figure(measure["value"], 2 * measure["value"])


def _as_noise(result: dict[str, Any]) -> None:
    """As bad as noise in every measure, which reads as praise where real sounds are not said apart."""
    noise, model = result["rows"][4]["measures"], result["rows"][2]["measures"]
    for name, measure in model.items():
        noise[name] = measure
        result["rows"][0]["measures"][name] = figure(measure["value"] * 2, 1e-3)
    result["ladder"] = []


def _flag(result: dict[str, Any]) -> None:
    result["memorisation"]["flagged"] = 2


def _flag_one(result: dict[str, Any]) -> None:
    result["memorisation"]["flagged"] = 1


def _weak_listener(result: dict[str, Any]) -> None:
    result["listeners"][0]["test_accuracy"] = figure(0.6, 0.05)


def _listener_at_chance(result: dict[str, Any]) -> None:
    result["listeners"][0]["test_accuracy"] = figure(0.75, 0.6)


def _weak_class(result: dict[str, Any]) -> None:
    result["rows"][2]["per_class"]["dog"]["accuracy"] = figure(0.4, 0.0)


def _guided(guidance: float) -> Change:
    """A class that is heard badly, of a prior that can be guided."""

    def change(result: dict[str, Any]) -> None:
        _model(accuracy=figure(0.5))(result)
        result["protocol"]["sampling"]["guidance"] = guidance
        result["model"]["guidance"] = 2.0

    return change


def test_a_good_result_gets_no_finding() -> None:
    assert read(made_result()) == []
    said = headline(made_result())
    assert "86.0 %" in said
    assert "Fréchet distance from real sounds is 6.00" in said


CASES: list[tuple[str, Change, str]] = [
    ("listener", _weak_listener, "first (60.0 % [55.0 %, 65.0 %])"),
    ("listener", _listener_at_chance, "first"),
    ("vocoder", _ladder(vocoder=20, codec=21, generated=22), "91 %"),
    ("codec", _ladder(vocoder=1, codec=20, generated=22), "stem_stride=4,2 with `tiny`"),
    ("prior", _ladder(vocoder=1, codec=2, generated=40), "95 %"),
    ("prior no better than a table", lambda r: r["prior"].update(bits_per_token=6.3), "6.30"),
    ("blur", _blurred, "decoder.kind=flow"),
    ("steering", _model(accuracy=figure(0.5)), "Train the prior longer"),
    ("steering", _guided(2.0), "more --guidance (it was 2; up to 7), or train"),
    ("steering", _guided(7.0), "Train the prior longer"),
    ("classes", _weak_class, "dog (40.0 %)"),
    ("diversity", _model(recall=figure(0.3), coverage=figure(0.3)), "too much alike"),
    ("diversity", _model(recall=figure(0.3), vendi=figure(5.0)), "Vendi score 25 %"),
    ("fidelity", _model(precision=figure(0.3)), "33 %"),
    ("memorisation", _flag, "2 of 20 generated clips look like copies of training clips, more than"),
    ("memorisation", _flag_one, "1 of 20 generated clips looks like a copy: no more than chance"),
    ("few clips", _few, "600 clips are too few: the model cannot be told from real sounds in 6 of 6"),
    ("few clips", _as_noise, "cannot be told from a control, which is clearly worse, in 6 of 6 (accuracy"),
]


@pytest.mark.parametrize(("name", "change", "words"), CASES)
def test_a_rule_speaks(name: str, change: Change, words: str) -> None:
    result = made_result()
    change(result)
    found = {finding.rule: finding for finding in read(result)}
    assert set(found) == {name}
    said = f"{found[name].what} {found[name].advice}"
    assert any(word in said for word in words.split("|")), said
    assert found[name].when


def test_every_rule_is_tried() -> None:
    assert {name for name, *_ in CASES} == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    "change",
    [
        _ladder(vocoder=2, codec=4, generated=6.1),  # no part loses half
        _model(accuracy=figure(0.8, 0.15)),  # far below, but within its interval
        _model(recall=figure(0.3)),  # one sign of little variety is none
        _model(recall=figure(0.3), coverage=figure(0.3), precision=figure(0.6)),  # neither good nor alike
        lambda result: result["ladder"].clear(),
        lambda result: result["rows"].pop(0) and result["rows"].pop(0),  # nothing to be held against
    ],
)
def test_no_rule_speaks_without_reason(change: Change) -> None:
    result = made_result()
    change(result)
    assert read(result) == []


def test_a_class_of_few_clips_is_not_called_weak() -> None:
    result = made_result()
    _weak_class(result)
    # Three of each class: one right of three says little.
    result["rows"][2] |= {"clips": 9}
    result["rows"][2]["measures"]["accuracy"] = figure(0.86, 0.12)
    assert read(result) == []


def test_a_loss_within_its_intervals_is_not_named() -> None:
    result = made_result()
    _ladder(vocoder=0.1, codec=0.2, generated=0.6)(result)
    assert read(result) == []


def test_without_pairs_for_the_prior_vocoder_and_codec_are_compared() -> None:
    result = made_result()
    for stage in result["ladder"]:
        stage["measures"].pop("frechet")
    result["ladder"][1]["measures"]["stft"] = figure(3.0, 0.1)
    result["ladder"][2]["measures"]["stft"] = figure(3.5, 0.1)
    found = read(result)
    assert [finding.rule for finding in found] == ["vocoder"]
    assert "prior is not compared" in found[0].what


def test_a_result_without_measures_is_read_without_a_fault() -> None:
    for bare in ({}, {"rows": []}, {"rows": [{"name": "generated", "role": "model"}]}):
        assert read(bare) == []
        assert headline(bare)
