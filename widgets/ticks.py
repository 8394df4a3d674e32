"""Which numbers stand beside an axis."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

_HALF = sys.float_info.max / 2


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two bounds, at most ``most``, rising."""
    span = high / 2 - low / 2  # halved: no overflow
    if not span > 0 or not math.isfinite(span):
        return [low]
    power = math.floor(math.log10(span * 2 / max(1, most)) if span < _HALF else 308)
    for exponent in (power, power + 1):
        for factor in (1, 2, 5):
            step = float(f"{factor}e{exponent}")
            if step > 0:
                first, last = math.ceil(low / step), math.floor(high / step)
                if last - first < most:
                    return [number * step for number in range(first, last + 1)] or [low]
    return [low]


def decade_ticks(low: float, high: float, most: int) -> list[float]:
    """Values between two positive bounds for a logarithmic axis, about ``most``, rising.

    Powers of ten, every so many of them where there are too many; where there are hardly any, 2
    and 5 times them as well.
    """
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    apart = max(1, -(-(last - first + 1) // max(1, most)))
    # As a person types it: 10.0**-5 is not 1e-05.
    if last - first >= 2:
        return [float(f"1e{power}") for power in range(-(-first // apart) * apart, last + 1, apart)]
    for factors in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        ticks = [
            float(f"{factor}e{power}") for power in (first - 1, first, last) for factor in factors
        ]
        ticks = sorted({tick for tick in ticks if low <= tick <= high})
        if len(ticks) >= 2:
            return ticks
    return nice_ticks(low, high, most)


def common_start(names: Sequence[str]) -> str:
    """What all dotted names begin with, up to and with a dot; the last part is never in it."""
    parts = [name.split(".")[:-1] for name in names]
    shared: list[str] = []
    for together in zip(*parts, strict=False):
        if len(set(together)) > 1:
            break
        shared.append(together[0])
    return "".join(f"{part}." for part in shared)
