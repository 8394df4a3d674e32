"""Histograms whose bins are comparable for ever.

*Linear* bins are as wide as a power of two and begin at a multiple of their width.  Of two such
histograms the coarser one's bins are therefore whole groups of the finer one's: they can be added,
averaged and drawn over time without a value ever moving to another bin, and no state is needed to
agree on a range.  Between 32 and 64 of the bins cover the values.

*Octave* bins hold the values between two powers of two, each sign on its own: for gradients, whose
sizes span many magnitudes.  ``OCTAVES`` octaves below the largest magnitude are told apart; what is
smaller shares two bins with zero, one a sign.

All is computed for many samples at once (a step's worth of probes), and all of it is exact: to
divide a float by a power of two changes its exponent and nothing else.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.messages import BINS, Floats
from inspector_app.protocol.table import Int32, Int64

OCTAVES = BINS // 2 - 1  # on either side of zero
_SMALLEST = -1074  # exponent of the smallest double
_FIRST_POSITIVE = BINS // 2
Samples = NDArray[np.floating]


def linear_grid(minimum: Floats, maximum: Floats) -> tuple[Floats, Int32]:
    """Where the first bins begin, in widths from zero, and exponents of the widths (2**exponent).

    ``minimum`` and ``maximum`` have shape (n,) and are finite.  A single value stands in the middle
    of bins that reach about as far as the value itself to either side.
    """
    spread = maximum / (BINS - 1) - minimum / (BINS - 1)  # divided first: no overflow
    exponent = np.frexp(spread)[1].astype(np.int32)
    exponent = np.where((spread == 0) & (maximum > minimum), np.int32(_SMALLEST), exponent)
    same = maximum == minimum
    around = np.where(maximum == 0, 0, np.frexp(maximum)[1]) - (BINS.bit_length() - 2)
    exponent = np.maximum(np.where(same, around, exponent), _SMALLEST).astype(np.int32)
    first = np.floor(np.ldexp(minimum, -exponent))
    first = np.where(same, first - BINS // 2, first)
    return first, exponent


def left_edges(first: Floats, exponent: Int32) -> Floats:
    """Where the first bins begin; never beyond the range of float64."""
    with np.errstate(over="ignore"):
        return np.asarray(np.maximum(np.ldexp(first, exponent), -np.finfo(np.float64).max))


def grid(minimum: float, maximum: float) -> tuple[float, int]:
    """:func:`linear_grid` of a single range; arrays of one element take ten times as long."""
    if minimum == maximum:
        around = math.frexp(maximum)[1] - (BINS.bit_length() - 2)
        exponent = max(around, _SMALLEST)
        return float(math.floor(math.ldexp(minimum, -exponent)) - BINS // 2), exponent
    spread = maximum / (BINS - 1) - minimum / (BINS - 1)
    exponent = max(math.frexp(spread)[1] if spread else _SMALLEST, _SMALLEST)
    return float(math.floor(math.ldexp(minimum, -exponent))), exponent


def left_edge(first: float, exponent: int) -> float:
    """:func:`left_edges` of a single range."""
    try:
        return math.ldexp(first, exponent)
    except OverflowError:
        return -float(np.finfo(np.float64).max)


class Workspace:
    """Memory for the computations on (rows, size) samples, reserved once.

    Fresh arrays of this size would be given back to the system and taken again at each step, which
    costs several times what is computed in them.
    """

    def __init__(self, rows: int, size: int) -> None:
        self.scaled = np.empty((rows, size), np.float32)
        self.floats = np.empty((rows, size), np.float32)
        self.numbers = np.empty((rows, size), np.intp)
        self.marks = np.empty((rows, size), np.bool_)
        self.offsets = (np.arange(rows, dtype=np.intp) * BINS)[:, None]


def linear_counts(scaled: Samples, first: Floats, work: Workspace) -> Int64:
    """How many values of each row fall into each of its bins; shape (n, BINS).

    ``scaled`` has shape (n, k): samples divided by the width of their bins (see :func:`divide`).
    All values of row i lie between its edges, as :func:`linear_grid` lays them.
    """
    rows = len(scaled)
    if scaled.dtype == np.float32:
        places = np.floor(scaled, out=work.floats[:rows, : scaled.shape[1]])
    else:
        places = np.floor(scaled)
    # Bin numbers are whole, below 2**31 where a float32 tells its neighbours apart, so exact.
    places -= first[:, None].astype(scaled.dtype)
    return _count(places, work)


def divide(samples: Samples, exponent: Int32, work: Workspace) -> Samples:
    """``samples / 2**exponent`` by row, without rounding; float32 in the workspace's memory."""
    power = -exponent[:, None]
    limits = np.finfo(samples.dtype)
    if samples.dtype != np.float32 or not (
        limits.minexp < power.min() and power.max() < limits.maxexp
    ):
        return np.asarray(np.ldexp(samples.astype(np.float64), power))
    factors = np.ldexp(np.float32(1), power)
    return np.multiply(samples, factors, out=work.scaled[: len(samples), : samples.shape[1]])


def octave_top(minimum: Floats, maximum: Floats) -> Int32:
    """The largest exponent e of each row, where 2**(e-1) <= magnitude < 2**e."""
    largest = np.maximum(np.abs(minimum), np.abs(maximum))
    return np.where(largest == 0, 0, np.frexp(largest)[1]).astype(np.int32)


def octave_counts(samples: Samples, top: Int32, work: Workspace) -> Int64:
    """How many values of each row fall into each octave; shape (n, BINS).

    Bin 0 holds the largest negative magnitudes, ``OCTAVES`` bins on come the small negative ones,
    then zero and the small positive ones, and so on up to the last bin.
    """
    below = _exponents(samples)
    below -= top[:, None] - OCTAVES  # OCTAVES for the octave of the largest, one less, ...
    np.maximum(below, 0, out=below)
    below[samples == 0] = 0
    return _count(
        np.where(np.signbit(samples), _FIRST_POSITIVE - 1 - below, _FIRST_POSITIVE + below), work
    )


def _exponents(samples: Samples) -> Int32:
    """Exponents e with 2**(e-1) <= magnitude < 2**e, read from the bits of normal float32."""
    if samples.dtype != np.float32:
        return np.frexp(samples)[1].astype(np.int32)
    exponents = np.ascontiguousarray(samples).view(np.int32) >> 23
    exponents &= 0xFF
    small = exponents == 0  # zero and what is denormal
    exponents -= 126
    if small.any():
        exponents[small] = np.frexp(samples[small])[1]
    return exponents


def octave_edges(top: int) -> Floats:
    """The BINS + 1 edges of the octave bins; the two middle bins meet at zero."""
    edges = np.ldexp(1.0, np.arange(top - OCTAVES, top + 1))
    return np.concatenate([-edges[::-1], [0.0], edges])


def coarser(counts: Int64, low: float, exponent: int, target: int) -> tuple[Int64, float]:
    """The same histogram in bins of 2**target, target >= exponent: counts and left edge.

    Fewer bins are filled than ``BINS``; the rest are zero.
    """
    apart = target - exponent
    if apart <= 0:
        return counts, low
    first = np.floor(np.ldexp(low, -target))
    # Where each bin goes: the difference of two whole numbers.
    start = np.ldexp(low, -exponent) - np.ldexp(first, apart)
    places = np.minimum((np.arange(BINS) + start) // 2.0 ** min(apart, 1023), BINS - 1)
    merged = np.bincount(places.astype(np.int64), weights=counts, minlength=BINS)
    return merged.astype(np.int64), float(np.ldexp(first, target))


def _count(places: NDArray[Any], work: Workspace) -> Int64:
    """Counts of whole bin numbers by row."""
    rows, size = places.shape
    fits = size == work.numbers.shape[1]
    numbers = work.numbers[:rows] if fits else np.empty(places.shape, np.intp)
    numbers[...] = places
    numbers += work.offsets[:rows]
    return np.bincount(numbers.ravel(), minlength=rows * BINS).reshape(rows, BINS)
