"""Loops over all elements of a tensor, compiled by numba where it is installed.

numba is no dependency: ``pip install inspector-app[fast]`` brings it.  Without it :func:`loops` is
None and numpy does the same in several passes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages import BINS
from inspector_app.protocol.table import Int64

_BLOCK = 2_048  # elements whose places stay in the cache; a multiple of the lanes
_COUNTED = 1 << 30  # elements that 32 bits can count
_LANES = 8  # tables counted into by turns: an increment need not wait for the one before it
# Sums may be reordered into vectors; NaN and infinities keep their meaning.
_FAST = {"reassoc", "contract", "nsz"}


@lru_cache(maxsize=1)
def loops() -> SimpleNamespace | None:
    """The compiled loops by their names; None where numba cannot be had.

    They are compiled when they are first called, which takes seconds.
    """
    try:
        numba: Any = importlib.import_module("numba")
    except ImportError:
        return None
    fast: Callable[[Any], Any] = numba.njit(nogil=True, fastmath=_FAST)
    exact: Callable[[Any], Any] = numba.njit(nogil=True)
    return SimpleNamespace(
        count_codes=exact(_count_codes), measure=_with_parts(fast(_places), exact(_scatter), exact)
    )


def _with_parts(places: Any, scatter: Any, compiled: Callable[[Any], Any]) -> Any:
    """The loop over blocks, which calls the two others compiled into it."""

    def measure(
        values: NDArray[np.float32], inverse: Any, first: Any, shift: Any, counts: Int64
    ) -> tuple[float, float, int]:
        """Count float32 values, all finite, into bins; sums of what is beyond the shift, zeros.

        Bin k holds those with floor(value * inverse) = first + k.
        """
        block = np.empty(_BLOCK, np.int32)
        tables = np.zeros(_LANES * BINS, np.int64)
        total, squares, zeros = 0.0, 0.0, 0
        for start in range(0, len(values), _BLOCK):
            part = values[start : start + _BLOCK]
            found = places(part, inverse, first, shift, block)
            total += found[0]
            squares += found[1]
            zeros += found[2]
            scatter(block, len(part), tables)
        for place in range(_LANES * BINS):
            counts[place % BINS] += tables[place]
        return total, squares, zeros

    return compiled(measure)


def _places(
    values: NDArray[np.float32], inverse: Any, first: Any, shift: Any, places: NDArray[np.int32]
) -> tuple[float, float, int]:
    # Zeros are counted in float32 as well, exact in a block: one width of vectors for all.
    total, squares, zeros = np.float32(0), np.float32(0), np.float32(0)
    for index in range(len(values)):
        scaled = values[index] * inverse
        places[index] = np.int32(np.floor(scaled)) - first
        apart = scaled - shift
        total += apart
        squares += apart * apart
        zeros += np.float32(1) if values[index] == np.float32(0) else np.float32(0)
    return float(total), float(squares), int(zeros)


def _scatter(places: NDArray[np.int32], size: int, tables: Int64) -> None:
    whole = size - size % _LANES
    for index in range(0, whole, _LANES):
        for lane in range(_LANES):
            tables[np.uint32(places[index + lane]) + np.uint32(lane * BINS)] += 1
    for index in range(whole, size):
        tables[np.uint32(places[index])] += 1


def _count_codes(codes: NDArray[np.uint16]) -> Int64:
    """How often each of 65,536 codes occurs."""
    total = np.zeros(1 << 16, np.int64)
    tables = np.zeros((2, 1 << 16), np.int32)  # by turns: equal ones often follow each other
    for start in range(0, len(codes), _COUNTED):
        part = codes[start : start + _COUNTED]
        even = len(part) - len(part) % 2
        for index in range(0, even, 2):
            tables[0, part[index]] += 1
            tables[1, part[index + 1]] += 1
        if even < len(part):
            tables[0, part[even]] += 1
        total += tables[0]
        total += tables[1]
        tables[:] = 0
    return total
