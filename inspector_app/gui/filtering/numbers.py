"""Comparisons with a number as a person types them: ``>1M``, ``<=10k``, ``bytes>=1.5GB``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "≥": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "≤": operator.le,
    "=": operator.eq,
    "==": operator.eq,
}
_COMPARISON = re.compile(r"([A-Za-z_]*):?(>=|<=|==|[<>=≥≤])(.*)", re.DOTALL)
_NUMBER = re.compile(
    r"(\d[\d_,]*\.?\d*|\.\d+)(e[+-]?\d{1,3})?\s*([kmgt]?)(i?)(b|bytes?)?", re.IGNORECASE
)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_MOST_DIGITS = 40


class Comparison(NamedTuple):
    """``field`` is "" where none was written; ``sign`` is one of the operators."""

    field: str
    sign: str
    number: str

    @property
    def holds(self) -> Callable[[Any, Any], Any]:
        """The operator."""
        return _OPERATORS[self.sign]


class Amount(NamedTuple):
    """A number, and whether it was written in bytes."""

    number: float
    is_bytes: bool


def comparison(word: str) -> Comparison | None:
    """A word as a comparison; None where it is none."""
    found = _COMPARISON.fullmatch(word)
    return Comparison(found[1].lower(), found[2], found[3]) if found else None


def amount(text: str) -> Amount | None:
    """A number with its unit: thousands, or 1,024 with an i; None where it is none."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None or len(text) > _MOST_DIGITS or (found[4] and not found[3]):
        return None
    digits, exponent, unit, binary, in_bytes = found.groups()
    base = 1024 if binary else 1000
    number = float(digits.replace("_", "").replace(",", "") + (exponent or ""))
    return Amount(number * base ** _POWERS[unit.lower()], bool(in_bytes or binary))
