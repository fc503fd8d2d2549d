"""Differences between reports: named where they are larger than chance, never where conditions differ."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from made_report import figure, made_result
from melgpt.errors import UserError
from melgpt.evaluation.report.stored import Stored
from melgpt.evaluation.side_by_side.differences import (
    Line,
    Verdict,
    compare,
    disagreements,
    holm,
    judged_row,
    summary,
)


def _stored(result: dict[str, Any], name: str = "x") -> Stored:
    return Stored(Path(name), name, result, name)


def _with(**measures: Any) -> Stored:
    result = made_result()
    result["rows"][2]["measures"].update(measures)
    return _stored(result)


def _lines(*reports: Stored) -> dict[str, Line]:
    lines = compare(reports, [judged_row(report) for report in reports])
    return {line.measure: line for line in lines if line.group == "generated sounds"}


def _tested(lines: list[Line]) -> int:
    return sum(line.tested for line in lines)


def test_equal_reports_do_not_differ() -> None:
    reports = [_stored(made_result()), _stored(made_result())]
    assert not any(line.verdicts for line in _lines(*reports).values())
    lines = compare(reports, [judged_row(report) for report in reports])
    assert summary(reports, lines) == f"No difference in any of the {_tested(lines)} measures tested."


def test_what_is_not_proven_is_said_with_the_clips_and_the_largest_difference() -> None:
    reports = [_stored(made_result()), _with(accuracy=figure(0.83, 0.04))]
    lines = compare(reports, [judged_row(report) for report in reports])
    assert summary(reports, lines) == (
        f"No difference is proven with 600 clips each, in none of the {_tested(lines)} measures tested. The "
        "largest is in accuracy of the listener: 86.0 % against 83.0 %. Evaluate with a larger -n."
    )


@pytest.mark.parametrize(("measure", "value", "better"), [("accuracy", 0.6, 0), ("frechet", 3.0, 1)])
def test_a_large_difference_is_named_by_its_direction(measure: str, value: float, better: int) -> None:
    lines = _lines(_stored(made_result()), _with(**{measure: figure(value, 0.03)}))
    (verdict,) = lines[measure].verdicts
    assert (verdict.better, verdict.worse) == (better, 1 - better)
    assert verdict.p < 1e-6


def test_a_difference_within_the_intervals_is_not_named() -> None:
    lines = _lines(_stored(made_result()), _with(accuracy=figure(0.83, 0.03)))
    assert lines["accuracy"].tested
    assert lines["accuracy"].verdicts == ()


def test_p_is_that_of_a_z_test_raised_by_holm() -> None:
    only = {"rows": [{"name": "generated", "role": "model", "measures": {"kad": figure(1.0, 0.3)}}]}
    other = {"rows": [{"name": "generated", "role": "model", "measures": {"kad": figure(2.0, 0.4)}}]}
    (verdict,) = _lines(_stored(only), _stored(other))["kad"].verdicts
    assert verdict.p == pytest.approx(2 * norm.sf(1.0 / (0.5 / norm.ppf(0.975))), rel=1e-4)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_chance_alone_is_rarely_called_a_difference() -> None:
    """200 pairs of reports that differ by chance only, five measures each: at most 5 % may name one."""
    random = np.random.default_rng(0)
    named = 0
    for _ in range(200):
        values = random.normal(10, 1, (2, 5))
        rows = [{f"m{i}": figure(value, 1.96) for i, value in enumerate(row)} for row in values]
        reports = [_stored({"rows": [{"name": "g", "role": "model", "measures": row}]}) for row in rows]
        named += any(line.verdicts for line in _lines(*reports).values())
    assert named <= 18


def test_measures_without_intervals_are_shown_and_not_tested() -> None:
    bare = {"value": 0.1, "low": None, "high": None}
    line = _lines(_stored(made_result()), _with(accuracy=bare))["accuracy"]
    assert not line.tested
    assert line.figures[1] == bare
    flat = {"value": 1.0, "low": 1.0, "high": 1.0}
    assert not _lines(_with(precision=flat), _with(precision=flat))["precision"].tested


def test_a_measure_that_one_report_lacks_is_kept() -> None:
    line = _lines(_stored(made_result()), _with(kad=figure(1.0)))["kad"]
    assert line.figures[0] is None
    assert not line.tested


def test_none_of_few_is_not_taken_for_never() -> None:
    """None of 24 against five of 24: Fisher's exact test gives p = 0.05, the intervals alone 0.004."""
    none = {"value": 0.0, "low": 0.0, "high": 0.0}
    some = {"value": 5 / 24, "low": 5 / 24 - 0.14, "high": 5 / 24 + 0.17}
    rows = [
        {"name": "g", "role": "model", "clips": 24, "measures": {"memorised": each}} for each in (none, some)
    ]
    line = _lines(*(_stored({"rows": [row]}) for row in rows))["memorised"]
    assert line.verdicts[0].p == pytest.approx(0.04, abs=0.01)
    assert line.figures == (none, some), "shown as they were measured"
    many = [{**row, "clips": 2400} for row in rows]
    line = _lines(*(_stored({"rows": [row]}) for row in many))["memorised"]
    assert line.verdicts[0].p == pytest.approx(0.004, abs=0.001)


def test_a_divided_result_names_no_winner() -> None:
    reports = [_with(accuracy=figure(0.5)), _with(frechet=figure(30.0, 1.0))]
    lines = compare(reports, [judged_row(report) for report in reports])
    assert "1 (x) in 1, 2 (x) in 1" in summary(reports, lines)


def test_three_reports_are_held_against_each_other() -> None:
    reports = [_with(accuracy=figure(value, 0.02)) for value in (0.5, 0.9, 0.7)]
    verdicts = _lines(*reports)["accuracy"].verdicts
    assert {(each.better, each.worse) for each in verdicts} == {(1, 0), (2, 0), (1, 2)}
    assert all(isinstance(each, Verdict) for each in verdicts)


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("data", {"fingerprint": "other"}, "data's fingerprint: da7a and other"),
        ("protocol", {"clips": 61}, "protocol's clips"),
        ("protocol", {"extractor": {"fingerprint": "x"}}, "extractor's fingerprint"),
        ("protocol", {"neighbours": 3}, "neighbours"),
    ],
)
def test_other_conditions_name_no_winner(part: str, change: dict[str, Any], words: str) -> None:
    result = made_result()
    result[part].update(change)
    result["rows"][2]["measures"]["accuracy"] = figure(0.1, 0.01)
    reports = [_stored(made_result()), _stored(result)]
    (warning,) = disagreements(reports)
    assert words in warning
    assert not any(line.verdicts or line.tested for line in _lines(*reports).values())
    assert "no winner" in summary(reports, [])


def test_seed_and_sampling_may_differ() -> None:
    result = made_result()
    result["protocol"] |= {"seed": 7, "sampling": {"guidance": 2.0}}
    assert disagreements([_stored(made_result()), _stored(result)]) == []


def test_a_row_is_chosen_by_name() -> None:
    report = _stored(made_result())
    assert judged_row(report)["name"] == "generated"
    assert judged_row(report, "noise")["role"] == "control"
    with pytest.raises(UserError, match="did you mean 'generated'"):
        judged_row(report, "generatet")
    with pytest.raises(UserError, match="no row of a model"):
        judged_row(_stored({"rows": []}))
