"""Small histograms as filled step outlines.

pyqtgraph hands numpy's rectangles to Qt as they lie in memory, without a Python call for each.
It takes 0.7 s to import, which is why this module is imported when there is something to draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.Qt.internals import PrimitiveArray
from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter

from widgets.binning import ValueAxis, octave_above, octave_edges


@dataclass(frozen=True)
class Record:
    """One firing as a cell shows it; ``low`` and ``high`` bound the bins.

    They are of equal width, or with ``octaves`` end at powers of two and at zero; drawn are all as
    wide as each other, which makes octaves a signed logarithmic axis.
    """

    low: float
    high: float
    counts: NDArray[np.int64]
    mean: float
    deviation: float
    nan: int
    infinite: int
    step: int
    notes: tuple[str, ...] = ()  # wordings of a remark, the longest first
    detail: str = ""  # the remark in full
    octaves: bool = False

    @cached_property
    def mean_place(self) -> float:
        """The mean as a share of the width; NaN where there is no width or no mean."""
        if self.octaves:
            if not math.isfinite(self.mean):
                return math.nan
            axis = ValueAxis(self._edges, True)
            return float(axis.places(np.array([self.mean]))[0]) / len(axis)
        span = self.high - self.low
        return (self.mean - self.low) / span if span > 0 else math.nan

    @cached_property
    def _edges(self) -> NDArray[np.float64]:
        """(bins + 1,) of octaves."""
        top = np.array([octave_above(self.high)], np.int32)
        return octave_edges(top, len(self.counts)).ravel()

    def bin_edges(self, number: int) -> tuple[float, float]:
        """Range of one bin."""
        if self.octaves:
            return float(self._edges[number]), float(self._edges[number + 1])
        width = (self.high - self.low) / max(1, len(self.counts))
        return self.low + number * width, self.low + (number + 1) * width


def bar_heights(records: Sequence[Record], logarithmic: bool) -> NDArray[np.float32]:
    """(n, bins) heights as shares of each record's highest; all have as many bins."""
    counts = np.stack([np.asarray(record.counts) for record in records]).astype(np.float64)
    values = np.log1p(counts) if logarithmic else counts
    highest = values.max(axis=1, initial=0, keepdims=True)
    highest[highest == 0] = 1
    return np.asarray(values / highest, np.float32)


def bar_rects(
    heights: NDArray[np.float32], lefts: NDArray[np.int64], floors: NDArray[np.int64], size: QSize
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rectangles (left, top, width, height) that fill histograms, and those that outline them.

    ``heights`` are shares of shape (n, bins), ``lefts`` and ``floors`` (n,) the lower left pixels
    of plots of ``size``.  A bin that is not empty is at least one pixel high, so that a single
    outlier can be seen.  A path of many jagged outlines takes Qt ten times as long to fill.
    """
    bins = heights.shape[1]
    tall = np.rint(heights * (size.height() - 1))
    tall[(heights > 0) & (tall == 0)] = 1
    edges = lefts[:, None] + np.rint(np.arange(bins + 1) * (size.width() - 1) / bins)
    top = floors[:, None] - tall
    across = np.diff(edges, axis=1)
    fill = np.stack([edges[:, :-1], top, across, tall], axis=2)
    lids = np.stack([edges[:, :-1], top, across, np.ones_like(tall)], axis=2)
    around = np.concatenate([floors[:, None], top, floors[:, None]], axis=1)
    before, after = around[:, :-1], around[:, 1:]
    walls = np.stack(
        [edges, np.minimum(before, after), np.ones_like(edges), np.abs(after - before) + 1], axis=2
    )
    outline = np.concatenate([lids.reshape(-1, 4), walls[before != after]])
    return fill[tall > 0], outline


GROUND, FILL, OUTLINE, MEAN = range(4)  # what a pixel of a plot shows
_DASH, _GAP = 4, 2  # pixels of the line of the mean


def bar_pixels(
    heights: NDArray[np.float32], means: NDArray[np.float64], size: QSize
) -> NDArray[np.uint8]:
    """The same as :func:`bar_rects`, as pixels of shape (n, height, width), with lines of means.

    ``means`` (n,) are shares of the width, NaN for no line.  On a screen this takes a quarter of
    the time that rectangles do.  Raises ValueError where a plot is higher than 256 pixels.
    """
    wide, high = size.width(), size.height()
    if high > 256:
        raise ValueError(f"A plot of {high} pixels is too high.")
    rows, bins = heights.shape
    tall = np.rint(heights * (high - 1)).astype(np.uint8)
    tall[(heights > 0) & (tall == 0)] = 1
    edges = np.rint(np.arange(bins + 1) * (wide - 1) / bins).astype(np.intp)
    filled = np.zeros((rows, wide), np.uint8)  # how high each column is
    filled[:, :-1] = np.repeat(tall, np.diff(edges), axis=1)
    around = np.zeros((rows, bins + 2), np.uint8)
    around[:, 1:-1] = tall
    low, top = filled.copy(), filled.copy()  # where its part of the outline begins and ends
    low[:, -1] = 0
    # Where bins are narrower than a pixel several walls share a column.
    walls: Any = (slice(None), edges)
    np.minimum.at(low, walls, np.minimum(around[:, :-1], around[:, 1:]))
    np.maximum.at(top, walls, np.maximum(around[:, :-1], around[:, 1:]))
    up = np.arange(high - 1, -1, -1, dtype=np.uint8)[:, None]  # of each row, from the floor
    pixels = ((up > 0) & (up <= filled[:, None])).view(np.uint8)
    # One comparison for both bounds: what is below the lower one wraps around.
    outline = up - low[:, None] <= (top - low)[:, None]
    outline[top[:, -1] == 0, :, -1] = False  # no wall where the last bin is empty
    np.copyto(pixels, OUTLINE, where=outline)
    known = np.flatnonzero((means >= 0) & (means <= 1))
    across = np.rint(means[known] * (wide - 1)).astype(np.intp)
    dashes = np.flatnonzero(np.arange(high) % (_DASH + _GAP) < _DASH)
    pixels[known[:, None], dashes, across[:, None]] = MEAN
    return pixels


def draw_rects(painter: QPainter, rects: NDArray[np.float64]) -> None:
    """Draw rectangles of shape (n, 4) as they lie in memory."""
    array = PrimitiveArray(QRectF, 4)
    array.resize(len(rects))
    array.ndarray()[:] = rects
    painter.drawRects(*array.drawargs())
