"""The range that a histogram's bins cover, for those who count and those who draw."""

from __future__ import annotations

import math
import sys

_LARGEST = sys.float_info.max
_SMALLEST = 5e-324


def bin_range(minimum: float, maximum: float) -> tuple[float, float]:
    """Left edge of the first bin and right edge of the last one.

    They are the extremes themselves, save where all values are the same: then half of the value
    to either side of it (0.5 around zero).
    """
    if minimum != maximum:
        return minimum, maximum
    half = abs(minimum) / 2 or (_SMALLEST if minimum else 0.5)
    return max(minimum - half, -_LARGEST), min(maximum + half, _LARGEST)


def octave_range(exponent: int) -> tuple[float, float]:
    """Outer edges of the octave bins of a record, which end at ``2**exponent``."""
    high = math.ldexp(1.0, exponent) if exponent < sys.float_info.max_exp else _LARGEST
    return -high, high


def linear_range(low: float, exponent: int, bins: int) -> tuple[float, float]:
    """Outer edges of the linear bins of a record, each ``2**exponent`` wide."""
    return low, low + bins * math.ldexp(1.0, exponent)
