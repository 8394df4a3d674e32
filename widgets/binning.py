"""Histograms of different ranges on one axis, and where values lie on it.

Bins whose edges are edges of the axis keep their counts exactly; a bin that an edge of the axis
divides is shared out as if its values were spread evenly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from widgets.ticks import nice_ticks

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_ROWS = 128  # of a linear axis; more could not be told apart on a screen
_MOST_OCTAVES = 31  # on either side of zero
_UNUSUAL = 4  # binary orders of magnitude by which a column may widen a linear axis
_SPIKE = 4  # rows: zeros of either sign have a bin each, which an axis of octaves halves
_LARGEST = np.finfo(np.float64).max
_SMALLEST = -1074  # exponent of the smallest double


@dataclass(frozen=True, eq=False)
class ValueAxis:
    """Rising edges of rows that meet; with ``octaves`` each ends at a power of two, or at zero."""

    edges: Floats
    octaves: bool

    def __len__(self) -> int:
        return len(self.edges) - 1

    def same(self, other: ValueAxis | None) -> bool:
        """Whether both have the same rows."""
        return (
            other is not None
            and self.octaves == other.octaves
            and np.array_equal(self.edges, other.edges)
        )

    def places(self, values: Floats) -> Floats:
        """Where values lie, in rows from the lowest edge; beyond the ends the ends."""
        rows = np.arange(len(self.edges), dtype=np.float64)
        return np.interp(self._scaled(values), self._scaled(self.edges), rows)

    def _scaled(self, values: Floats) -> Floats:
        """Values in rows of equal height, from anywhere."""
        if not self.octaves:
            return np.asarray(values, np.float64)
        sizes = np.abs(self.edges)
        least = float(sizes[sizes > 0].min())
        size = np.abs(values) / least
        # Up to the smallest octave in proportion, which makes zero a place of its own.
        scaled = np.where(size < 1, size, np.log2(np.maximum(size, 1)) + 1)
        return np.copysign(scaled, values)

    def ticks(self, most: int) -> list[float]:
        """At most about ``most`` values to be written beside the axis, rising."""
        low, high = float(self.edges[0]), float(self.edges[-1])
        if not self.octaves:
            return nice_ticks(low, high, most)
        sizes = np.abs(self.edges[self.edges != 0])
        least, largest = (math.log10(float(bound)) for bound in (sizes.min(), sizes.max()))
        signs = (low < 0) + (high > 0)
        decades = max(1, math.ceil((largest - least) * signs / max(1, most - 1)))
        # From the largest decade downwards; none so near to zero that the two would collide.
        powers = range(math.floor(largest), math.floor(least) + max(1, decades // 2), -decades)
        # As a person types it: 10.0**-5 is not 1e-05.
        decimals = [float(f"1e{power}") for power in powers]
        if not decimals and largest > least:  # no decade lies far enough from zero
            decimals = [float(sizes.max())]
        values = [-size for size in decimals] + [0.0] + decimals[::-1]
        return [value for value in values if low <= value <= high]


def linear_edges(low: Floats, high: Floats, bins: int) -> Floats:
    """Edges of equal bins between ``low`` and ``high``, each of shape (n,): (n, bins + 1)."""
    low, high = np.atleast_1d(low)[:, None], np.atleast_1d(high)[:, None]
    # Divided first: no overflow; bins of 2**k that begin at multiples of it stay exact.
    with np.errstate(over="ignore"):
        edges = low + np.arange(bins + 1) * (high / bins - low / bins)
    return np.asarray(np.clip(edges, -_LARGEST, _LARGEST))


def octave_edges(top: NDArray[np.int32], bins: int) -> Floats:
    """Edges of bins between powers of two, of either sign, the middle ones meeting at zero.

    The outermost bins end at ``2**top``, of shape (n,); ``bins`` is even.  Shape (n, bins + 1).
    """
    with np.errstate(over="ignore"):
        sizes = np.ldexp(1.0, np.atleast_1d(top)[:, None] - np.arange(bins // 2))
    edges = np.concatenate([-sizes, np.zeros((len(sizes), 1)), sizes[:, ::-1]], axis=1)
    return np.asarray(np.clip(edges, -_LARGEST, _LARGEST))


def rebin(edges: Floats, counts: Counts, target: Floats) -> Floats:
    """Counts on other edges: (n, rows + 2), what is below the first edge and above the last too.

    ``edges`` (bins + 1,) of ``counts`` (n, bins), ``target`` (rows + 1,).  Sums are kept, exactly
    up to 2**53; rows whose edges are among ``edges`` are exact.
    """
    summed = np.zeros((len(counts), len(edges)))
    np.cumsum(counts, axis=1, out=summed[:, 1:])
    bins = np.clip(np.searchsorted(edges, target, side="right") - 1, 0, len(edges) - 2)
    left, right = edges[bins] / 2, edges[bins + 1] / 2  # halved: no overflow
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (target / 2 - left) / (right - left)
    share = np.where(right > left, np.clip(share, 0, 1), target > edges[bins])
    before = summed[:, bins] + share * (summed[:, bins + 1] - summed[:, bins])
    ends = np.zeros((len(counts), 1)), summed[:, -1:]
    return np.diff(np.concatenate([ends[0], before, ends[1]], axis=1), axis=1)


def rebin_all(edges: Floats, counts: Counts, target: Floats) -> Floats:
    """As :func:`rebin`, each histogram with edges of its own: (n, bins + 1).

    Histograms with NaN among their edges count for nothing.
    """
    table = np.zeros((len(counts), len(target) + 1))
    if not len(counts):
        return table
    # There are few ranges, as bins are laid on grids: all of the same are worked out at once.
    order = np.lexsort((edges[:, -1], edges[:, 0]))
    edges = edges[order]
    starts = np.flatnonzero((edges[1:] != edges[:-1]).any(axis=1)) + 1
    bounds = [0, *starts.tolist(), len(counts)]
    for first, stop in pairwise(bounds):
        if np.isfinite(edges[first]).all():
            alike = order[first:stop]
            table[alike] = rebin(edges[first], counts[alike], target)
    return table


def shared_axis(edges: Floats, counts: Counts, octaves: bool) -> ValueAxis | None:
    """An axis on which all the histograms can be drawn; None where none has a finite value.

    A linear axis leaves out histograms that are far wider than is usual among them: one step of
    exploding values must not flatten all others.
    """
    filled = counts > 0
    usable = filled.any(axis=1) & np.isfinite(edges).all(axis=1)
    if not usable.any():
        return None
    edges, filled = edges[usable], filled[usable]
    number = np.arange(len(edges))
    bins = filled.shape[1]
    first, stop = filled.argmax(axis=1), bins - filled[:, ::-1].argmax(axis=1)
    low, high = edges[number, first], edges[number, stop]
    axis = _axis_between(edges, low, high, octaves)
    if len(axis) > _SPIKE or (stop - first > 2).any():
        return axis
    return _axis_between(edges, edges[:, 0], edges[:, -1], octaves)


def _axis_between(edges: Floats, low: Floats, high: Floats, octaves: bool) -> ValueAxis:
    """An axis from the lowest to the highest bounds, (n,) each, of histograms with these edges."""
    if octaves:
        return _octave_axis(edges, float(low.min()), float(high.max()))
    bins = edges.shape[1] - 1
    mean_width = edges[:, -1] / bins - edges[:, 0] / bins
    exponents = np.frexp(mean_width)[1] - 1
    usual = exponents <= np.median(exponents) + _UNUSUAL
    return _linear_axis(
        float(low[usual].min()), float(high[usual].max()), int(exponents[usual].min())
    )


def _linear_axis(low: float, high: float, exponent: int) -> ValueAxis:
    """Rows of 2**exponent, or of a larger power of two where there would be too many."""
    exponent = max(exponent, _SMALLEST)
    while True:
        width = math.ldexp(1.0, exponent)
        first, last = math.floor(low / width), math.ceil(high / width)
        if last - first <= MOST_ROWS:
            break
        exponent += max(1, (last - first).bit_length() - MOST_ROWS.bit_length())
    numbers = np.arange(first, max(last, first + 1) + 1, dtype=np.float64)
    with np.errstate(over="ignore"):
        scaled = np.ldexp(numbers, exponent)
    return ValueAxis(np.clip(scaled, -_LARGEST, _LARGEST), False)


def _octave_axis(edges: Floats, low: float, high: float) -> ValueAxis:
    """Octaves as far down as the finest bins tell values apart."""
    widths = np.diff(edges / 2, axis=1)
    widths = widths[widths > 0]
    finest = int(np.frexp(widths.min())[1]) if len(widths) else _SMALLEST
    tops = [octave_above(size) for size in (-low, high) if size > 0]
    top = max(tops, default=0)
    bottom = max(min(finest, top - 1), top - _MOST_OCTAVES, _SMALLEST)
    negative = _octaves(bottom, octave_above(-low)) if low < 0 else np.empty(0)
    positive = _octaves(bottom, octave_above(high)) if high > 0 or low >= 0 else np.empty(0)
    return ValueAxis(np.concatenate([-negative[::-1], [0.0], positive]), True)


def octave_above(size: float) -> int:
    """Smallest k with 2**k >= size."""
    mantissa, exponent = math.frexp(size)
    return exponent - 1 if mantissa == 0.5 else exponent


def _octaves(bottom: int, top: int) -> Floats:
    """Powers of two from ``bottom`` to ``top``; at least the one."""
    with np.errstate(over="ignore"):
        sizes = np.ldexp(1.0, np.arange(bottom, max(bottom, top) + 1))
    return np.minimum(sizes, _LARGEST)
