"""Numbers as people read them: thousands separators, SI units, few digits."""

from __future__ import annotations

import math

_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def count_text(count: int) -> str:
    """All digits, in groups of three: ``1,234,567``."""
    return f"{count:,}"


def short_count(count: int) -> str:
    """Three significant digits and an SI prefix: ``1.23 M``; small numbers stay exact."""
    return str(count) if abs(count) < 1000 else _scaled(count, "").rstrip()


def bytes_text(size: int) -> str:
    """Bytes in SI units (1 kB is 1,000 bytes): ``4.2 MB``, ``312 B``."""
    return f"{size} B" if abs(size) < 1000 else _scaled(size, "B")


def value_text(value: float) -> str:
    """A measured value with four significant digits: ``0.01234``, ``-1.5e-07``, ``NaN``, ``∞``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = abs(value)
    if 1e-3 <= size < 1e6:
        digits = max(0, 3 - math.floor(math.log10(size)))
        text = f"{value:.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def _scaled(number: int, unit: str) -> str:
    """Three significant digits; a number that rounds to 1,000 takes the next prefix."""
    power = 0
    value = float(number)
    while abs(value) >= 999.5 and power < len(_PREFIXES) - 1:
        value /= 1000
        power += 1
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    text = f"{value:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} {_PREFIXES[power]}{unit}"
