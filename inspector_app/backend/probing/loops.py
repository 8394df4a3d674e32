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
_SHORT = 1 << 14  # codes whose zeros 16 bits can count
_LANES = 2  # tables counted into by turns: an increment need not wait for the one before it
# Sums may be reordered into vectors; NaN and infinities keep their meaning.
_fast: _Decorator = numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
_plain: _Decorator = numba.njit(nogil=True)
_inline: _Decorator = numba.njit(inline="always")
_kept: _Decorator = numba.njit(nogil=True, cache=True)  # what they call is compiled into them


# How two values lie in memory: half a block apart, or together in a word.
@_inline
def _two_floats(stored: Any, index: int, half: int) -> tuple[Any, Any]:
    return stored[index], stored[index + half]


@_inline
def _two_bfloats(stored: Any, index: int, half: int) -> tuple[Any, Any]:
    word = stored[index]
    low, high = np.int32(word << np.int32(16)), np.int32(word & np.int32(-1 << 16))
    return low.view(np.float32), high.view(np.float32)


@_inline
def _two_halves(stored: Any, index: int, half: int) -> tuple[Any, Any]:
    word = stored[index]
    low, high = np.int32(word << np.int32(16)) >> np.int32(16), word >> np.int32(16)
    return _of_float16(low), _of_float16(high)


@_inline
def _of_float16(code: Any) -> Any:
    size = np.int32(code) & np.int32(0x7FFF)
    normal = np.int32((size << 13) + np.int32(112 << 23)).view(np.float32)
    denormal = np.float32(size) * np.float32(2**-24)
    value = denormal if size < 1 << 10 else normal
    return -value if code < 0 else value


def _places_of(two_of: Callable[[Any, int, int], tuple[Any, Any]], *, words: bool) -> Any:
    """The loop over a block of values that lie in memory in some way.

    Zeros of what lies in words are known already: see :func:`ends`.
    """

    def places(
        stored: Any, inverse: Any, first: Any, shift: Any, pairs: NDArray[np.uint32]
    ) -> tuple[float, float, int]:
        """Bins of pairs of values; sums of what is beyond the shift, of its square; zeros.

        Each sum is held in two, which need not wait for each other.
        """
        total, squares, zeros = np.float32(0), np.float32(0), np.int32(0)
        more_total, more_squares, more_zeros = np.float32(0), np.float32(0), np.int32(0)
        # Bins are whole numbers below 2**24 until here: float32 adds them exactly.
        origin = np.float32(first) * np.float32(BINS + 1)
        half = len(stored) // 2
        for index in range(len(stored) if words else half):
            one, other = two_of(stored, index, half)
            if not words:
                zeros = np.int32(zeros + np.int32(one == np.float32(0)))
                more_zeros = np.int32(more_zeros + np.int32(other == np.float32(0)))
            one *= inverse
            other *= inverse
            pair = np.floor(one) + np.floor(other) * np.float32(BINS) - origin
            # Masked: another thread may have changed the tensor since its extremes were found.
            pairs[index] = np.uint32(np.int32(pair) & np.int32(_PAIRS - 1))
            one -= shift
            other -= shift
            total += one
            more_total += other
            squares += one * one
            more_squares += other * other
        return float(total + more_total), float(squares + more_squares), int(zeros + more_zeros)

    return _fast(places)


_places_of_floats = _places_of(_two_floats, words=False)
_places_of_bfloats = _places_of(_two_bfloats, words=True)
_places_of_halves = _places_of(_two_halves, words=True)


@_inline
def _places(
    floats: NDArray[np.float32],
    words: NDArray[np.int32],
    kind: int,
    start: int,
    stop: int,
    inverse: Any,
    first: Any,
    shift: Any,
    pairs: NDArray[np.uint32],
) -> Any:
    """Of the pairs from ``start`` to ``stop``, in whichever way they are stored."""
    if kind == FLOAT32:
        return _places_of_floats(floats[2 * start : 2 * stop], inverse, first, shift, pairs)
    if kind == BFLOAT16:
        return _places_of_bfloats(words[start:stop], inverse, first, shift, pairs)
    return _places_of_halves(words[start:stop], inverse, first, shift, pairs)


@_plain
def _count(pairs: NDArray[np.uint32], number: int, tables: NDArray[np.uint32]) -> None:
    """Half as many increments as there are values: a pair of bins is counted at once."""
    whole = number - number % _LANES
    for index in range(0, whole, _LANES):
        for lane in range(_LANES):
            tables[pairs[index + lane] + np.uint32(lane * _PAIRS)] += np.uint32(1)
    for index in range(whole, number):
        tables[pairs[index]] += np.uint32(1)


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
    words: NDArray[np.int32],
    single: NDArray[np.float32],
    kind: int,
    inverse: Any,
    first: Any,
    shift: Any,
    counts: Int64,
) -> tuple[float, float, float, int]:
    """Count finite values into bins; sums of ``value * inverse - shift``, of its square, and zeros.

    The values are ``floats``, an even number of them, or, if ``kind`` is that of 16-bit floats,
    those whose codes stand in ``words``, two in each; and those that are ``single``.  They are
    fewer than 2**33.  Zeros are not counted in ``words``: see :func:`ends`.  Bin k holds those with
    floor(value * inverse) = first + k; all are below 2**17.  A shift that is NaN becomes the mean
    of the first block; what it is is told before the sums.
    """
    pairs = np.empty(_BLOCK // 2, np.uint32)
    tables = np.zeros(_LANES * _PAIRS, np.uint32)
    total, squares, zeros = 0.0, 0.0, 0
    number = len(floats) // 2 if kind == FLOAT32 else len(words)
    if np.isnan(shift):
        if number:
            some = min(number, _BLOCK // 2)
            found = _places(floats, words, kind, 0, some, inverse, first, np.float32(0), pairs)
            shift = np.float32(found[0] / (2 * some))
        else:
            shift = single[0] * inverse
    for start in range(0, number, _BLOCK // 2):
        stop = min(start + _BLOCK // 2, number)
        found = _places(floats, words, kind, start, stop, inverse, first, shift, pairs)
        total += found[0]
        squares += found[1]
        zeros += found[2]
        _count(pairs, stop - start, tables)
    _sum_up(tables, counts)
    for value in single:
        zeros += value == np.float32(0)
        value *= inverse
        counts[(np.int32(np.floor(value)) - first) & (BINS - 1)] += 1
        value -= shift
        total += value
        squares += value * value
    return float(shift), total, squares, zeros


@_kept
def ends(codes: NDArray[np.int16]) -> tuple[Any, Any, int]:
    """Codes of the smallest and the largest of 16-bit floats, NaN beyond the infinities; zeros."""
    least, greatest = np.int16(0x7FFF), np.int16(-0x8000)
    zeros = 0
    for start in range(0, len(codes), _SHORT):
        block = codes[start : start + _SHORT]
        some = np.int16(0)  # as short as the codes, so that one vector holds as many
        for index in range(len(block)):
            code = block[index]
            # Negative codes grow with the magnitude: all bits but the sign turn around.
            ordered = np.int16(code ^ ((code >> 15) & np.int16(0x7FFF)))
            least = min(least, ordered)
            greatest = max(greatest, ordered)
            some = np.int16(some + np.int16(np.int16(code << 1) == np.int16(0)))
        zeros += int(some)
    return least ^ ((least >> 15) & 0x7FFF), greatest ^ ((greatest >> 15) & 0x7FFF), zeros


def compile_all() -> None:
    """Compile all, which takes seconds, or read what was kept.

    Raises RuntimeError where numba is told not to compile: the loops would run in Python.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        raise RuntimeError("numba is told not to compile")
    codes = np.zeros(1, np.int16)
    ends(codes)
    one, none, words = np.float32(1), np.empty(0, np.float32), np.empty(0, np.int32)
    measure(none, words, none, BFLOAT16, one, np.int32(0), one, np.zeros(BINS, np.int64))
