"""Loops over all elements of a tensor, compiled by numba; imported only where that is installed.

Compiled code is kept in files: beside this one, or in the person's cache directory where nothing
can be written here (numba's own rule; ``NUMBA_CACHE_DIR`` is another place).  Where neither can be
written the import raises RuntimeError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages import BINS
from inspector_app.protocol.table import Int64

_Decorator = Callable[[Any], Any]
FLOAT32, BFLOAT16, FLOAT16 = range(3)  # how values are stored
_BLOCK = 1_024  # elements whose places stay in the cache, and whose sums float32 can hold
_PAIRS = BINS * BINS
_LANES = 2  # tables counted into by turns: an increment need not wait for the one before it
# Sums may be reordered into vectors; NaN and infinities keep their meaning.
_fast: _Decorator = numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
_plain: _Decorator = numba.njit(nogil=True)
_inline: _Decorator = numba.njit(inline="always")
_kept: _Decorator = numba.njit(nogil=True, cache=True)  # what they call is compiled into them


@_inline
def _itself(value: Any) -> Any:
    return value


@_inline
def _of_bfloat16(code: Any) -> Any:
    return np.int32(np.int32(code) << np.int32(16)).view(np.float32)


@_inline
def _of_float16(code: Any) -> Any:
    size = np.int32(code) & np.int32(0x7FFF)
    normal = np.int32((size << 13) + np.int32(112 << 23)).view(np.float32)
    denormal = np.float32(size) * np.float32(2**-24)
    value = denormal if size < 1 << 10 else normal
    return -value if code < 0 else value


def _places_of(value_of: Callable[[Any], Any]) -> Any:
    """The loop over a block of values that are stored in some way."""

    def places(
        stored: Any, inverse: Any, first: Any, shift: Any, pairs: NDArray[np.uint16], counts: Int64
    ) -> tuple[float, float, int]:
        """Bins of values, as pairs; sums of what is beyond the shift, of its square; zeros.

        An odd value is counted at once.  Each sum is held in two, which need not wait for each
        other.
        """
        half = len(stored) // 2
        total, squares, zeros = np.float32(0), np.float32(0), np.int32(0)
        more_total, more_squares, more_zeros = np.float32(0), np.float32(0), np.int32(0)
        # Bins are whole numbers below 2**24 until here: float32 adds them exactly.
        origin = np.float32(first) * np.float32(BINS + 1)
        for index in range(half):
            one, other = value_of(stored[index]), value_of(stored[index + half])
            zeros = np.int32(zeros + np.int32(one == np.float32(0)))
            more_zeros = np.int32(more_zeros + np.int32(other == np.float32(0)))
            one *= inverse
            other *= inverse
            pair = np.floor(one) + np.floor(other) * np.float32(BINS) - origin
            # Masked: another thread may have changed the tensor since its extremes were found.
            pairs[index] = np.uint16(np.int32(pair) & np.int32(_PAIRS - 1))
            one -= shift
            other -= shift
            total += one
            more_total += other
            squares += one * one
            more_squares += other * other
        if len(stored) % 2:
            last = value_of(stored[len(stored) - 1])
            zeros = np.int32(zeros + np.int32(last == np.float32(0)))
            last *= inverse
            counts[(np.int32(np.floor(last)) - first) & (BINS - 1)] += 1
            last -= shift
            total += last
            squares += last * last
        return float(total + more_total), float(squares + more_squares), int(zeros + more_zeros)

    return _fast(places)


_places_of_floats = _places_of(_itself)
_places_of_bfloats = _places_of(_of_bfloat16)
_places_of_halves = _places_of(_of_float16)


@_plain
def _count(pairs: NDArray[np.uint16], number: int, tables: NDArray[np.uint32]) -> None:
    """Half as many increments as there are values: a pair of bins is counted at once."""
    whole = number - number % _LANES
    for index in range(0, whole, _LANES):
        for lane in range(_LANES):
            tables[np.uint32(pairs[index + lane]) + np.uint32(lane * _PAIRS)] += np.uint32(1)
    for index in range(whole, number):
        tables[np.uint32(pairs[index])] += np.uint32(1)


@_plain
def _sum_up(tables: NDArray[np.uint32], counts: Int64) -> None:
    """The pairs as single values again; the second of a pair changes slowly."""
    for lane in range(_LANES):
        for second in range(BINS):
            start = lane * _PAIRS + second * BINS
            row = tables[start : start + BINS]
            together = np.int64(0)
            for first in range(BINS):
                together += np.int64(row[first])
            counts[second] += together
            for first in range(BINS):
                counts[first] += np.int64(row[first])


@_kept
def measure(
    floats: NDArray[np.float32],
    codes: NDArray[np.int16],
    kind: int,
    inverse: Any,
    first: Any,
    shift: Any,
    counts: Int64,
) -> tuple[float, float, int]:
    """Count finite values into bins; sums of ``value * inverse - shift``, of its square, and zeros.

    The values, fewer than 2**33, are ``floats`` or, if ``kind`` is that of 16-bit floats, those of
    ``codes``.  Bin k holds those with floor(value * inverse) = first + k; all are below 2**17.
    """
    pairs = np.empty(_BLOCK // 2, np.uint16)
    tables = np.zeros(_LANES * _PAIRS, np.uint32)
    total, squares, zeros = 0.0, 0.0, 0
    number = len(floats) if kind == FLOAT32 else len(codes)
    for start in range(0, number, _BLOCK):
        stop = min(start + _BLOCK, number)
        if kind == FLOAT32:
            found = _places_of_floats(floats[start:stop], inverse, first, shift, pairs, counts)
        elif kind == BFLOAT16:
            found = _places_of_bfloats(codes[start:stop], inverse, first, shift, pairs, counts)
        else:
            found = _places_of_halves(codes[start:stop], inverse, first, shift, pairs, counts)
        total += found[0]
        squares += found[1]
        zeros += found[2]
        _count(pairs, (stop - start) // 2, tables)
    _sum_up(tables, counts)
    return total, squares, zeros


@_kept
def ends(codes: NDArray[np.int16]) -> tuple[Any, Any]:
    """Codes of the smallest and the largest of 16-bit floats, NaN beyond the infinities."""
    least, greatest = np.int16(0x7FFF), np.int16(-0x8000)
    for index in range(len(codes)):
        # Negative codes grow with the magnitude: all bits but the sign turn around.
        ordered = np.int16(codes[index] ^ ((codes[index] >> 15) & np.int16(0x7FFF)))
        least = min(least, ordered)
        greatest = max(greatest, ordered)
    return least ^ ((least >> 15) & 0x7FFF), greatest ^ ((greatest >> 15) & 0x7FFF)


def compile_all() -> None:
    """Compile all, which takes seconds, or read what was kept.

    Raises RuntimeError where numba is told not to compile: the loops would run in Python.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        raise RuntimeError("numba is told not to compile")
    codes = np.zeros(1, np.int16)
    ends(codes)
    one, none = np.float32(1), np.empty(0, np.float32)
    measure(none, codes, BFLOAT16, one, np.int32(0), one, np.zeros(BINS, np.int64))
