"""Sizes in bytes as a person types them: ``2GB``, ``500 MiB``, ``1.5e9``."""

from __future__ import annotations

import math
import re

from inspector_app.protocol.errors import RequestError

# SI units count in thousands, IEC ones (KiB) in powers of 1024.
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)(e\d{1,2})?\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_LARGEST = 2**62  # bytes


def parse_size(text: str) -> int:
    """Bytes that ``text`` means; raises RequestError where it means none."""
    match = _SIZE.fullmatch(text)
    if match is None or (match[4] and not match[3]):
        raise RequestError(f"A size is written like 2GB, 500MiB or 1000000 (bytes); got '{text}'.")
    number, exponent, unit, binary = match.groups()
    base = 1024 if binary else 1000
    size: float = float(number + (exponent or "")) * base ** _POWERS[unit.lower()]
    if not 1 <= size <= _LARGEST:
        raise RequestError(f"A size is at least 1 byte and at most {_LARGEST:,}; got '{text}'.")
    return math.floor(size)
