"""Numbers that a caller of the Python functions gives, checked: a wrong one is a sentence."""

import math
import operator
from numbers import Real
from typing import Any

from melgpt.errors import UserError


def whole(name: str, value: Any, least: int) -> int:
    """A whole number from `least` on, of any integer type. Raises UserError for anything else."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise UserError(f"{name} must be a whole number from {least} on (given: {value!r})")
    return number


def seconds_above_0(value: Any, name: str = "seconds") -> float:
    """A length, above 0 and finite. Raises UserError for anything else."""
    number = _number(value)
    if number is None or not 0 < number < math.inf:
        raise UserError(f"{name} must be a number above 0 (given: {value!r})")
    return number


def finite(name: str, value: Any) -> None:
    """Raises UserError for what is not a finite number; text that looks like one is none."""
    number = _number(value)
    if number is None or not math.isfinite(number):
        raise UserError(f"{name} must be a finite number (given: {value!r})")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None
