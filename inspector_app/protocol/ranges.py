"""The range that a histogram's bins cover, for those who count and those who draw."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

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


def bin_ranges(
    low: Floats, exponent: NDArray[np.int32], octaves: NDArray[np.bool_], bins: int
) -> tuple[Floats, Floats]:
    """Outer edges of the bins of records, (n,) each.

    Linear bins begin at ``low`` and are ``2**exponent`` wide; octaves end at ``2**exponent`` of
    either sign.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.ldexp(1.0, exponent)
        top = np.minimum(size, _LARGEST)
        return np.where(octaves, -top, low), np.where(octaves, top, low + bins * size)
