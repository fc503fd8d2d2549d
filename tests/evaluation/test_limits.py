"""Limits are read, and a model that is worse than one is told so in one line."""

from typing import Any

import pytest

from melgpt.errors import UserError
from melgpt.evaluation.limits import MEANINGS, check_limits, read_limits

RESULT: dict[str, Any] = {
    "rows": [
        {"role": "floor", "measures": {"accuracy": {"value": 0.1}}},
        {"role": "model", "measures": {"accuracy": {"value": 0.8}, "frechet": {"value": 3.0}}},
    ],
    "codec": {"mel_l1": 0.04},
    "prior": {},
}


def test_limits_that_are_kept_say_nothing() -> None:
    check_limits(RESULT, read_limits(["accuracy=0.8", "frechet=3", "codec.mel_l1=0.05"]))


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("accuracy=0.81", "accuracy is 0.8, below the limit 0.81"),
        ("frechet=2.5", "frechet is 3, above the limit 2.5"),
        ("codec.mel_l1=0.03", "codec.mel_l1 is 0.04, above the limit 0.03"),
        ("prior.bits_per_token=5", "prior.bits_per_token was not measured"),
    ],
)
def test_the_direction_is_the_measures_own(limit: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_limits(RESULT, read_limits([limit]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("acuracy=0.8", "unknown measure 'acuracy'; did you mean 'accuracy'"),
        ("vocoder.mel_l1=0.8", "unknown measure 'vocoder.mel_l1'"),
        ("mel_l1=0.8", "unknown measure 'mel_l1'; did you mean 'codec.mel_l1'"),
        ("codec.accuracy=0.5", "unknown measure 'codec.accuracy'"),
        ("onset=2", "unknown measure 'onset'"),
        ("accuracy", "not of the form measure=number"),
        ("accuracy=high", "not of the form measure=number"),
        ("accuracy=nan", "not of the form measure=number"),
    ],
)
def test_what_is_no_limit_is_refused(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_limits([text])


def test_what_will_not_be_measured_is_refused() -> None:
    assert read_limits(["melception_kid=3"]) == {"melception_kid": 3.0}
    with pytest.raises(UserError, match="only measured with --melception"):
        read_limits(["melception_kid=3"], melception=False)


def test_every_measure_has_a_direction_and_one_plain_sentence() -> None:
    for direction, meaning in MEANINGS.values():
        assert direction in ("lower", "higher")
        assert meaning.endswith(".")
        assert "\n" not in meaning
