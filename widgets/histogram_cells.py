"""Small histograms as filled step outlines.

pyqtgraph hands numpy's rectangles to Qt as they lie in memory, without a Python call for each.
It takes 0.7 s to import, which is why this module is imported when there is something to draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.Qt.internals import PrimitiveArray
from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter, QPixmap

from widgets.binning import octave_above, octave_edges

Floats = NDArray[np.float64]


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

    def bin_edges(self, number: int) -> tuple[float, float]:
        """Range of one bin."""
        if self.octaves:
            edges = _octave_edges(self.high, len(self.counts))
            return float(edges[number]), float(edges[number + 1])
        width = (self.high - self.low) / max(1, len(self.counts))
        return self.low + number * width, self.low + (number + 1) * width


def mean_places(
    low: Floats, high: Floats, mean: Floats, octaves: NDArray[np.bool_], bins: int
) -> Floats:
    """Means as shares of the width, (n,) as all of the arguments; NaN where there is none."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        places = np.where(high > low, (mean - low) / (high - low), np.nan)
    if octaves.any():
        places[octaves] = _octave_places(high[octaves], mean[octaves], bins) / bins
    return places


def _octave_places(high: Floats, values: Floats, bins: int) -> Floats:
    """Where values lie among octaves of which the highest end at ``high``, in bins; (n,)."""
    share, top = np.frexp(high)
    least = top - (share == 0.5) - bins // 2 + 1  # the smallest bins end at 2**least
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.log2(np.abs(values)) - least
    # Up to the smallest octave in proportion.
    size = np.where(above < 0, np.exp2(np.minimum(above, 0)), above + 1)
    places: Floats = bins / 2 + np.copysign(np.minimum(size, bins / 2), values)
    return np.where(np.isfinite(values), places, np.nan)


@lru_cache(maxsize=256)
def _octave_edges(high: float, bins: int) -> Floats:
    """(bins + 1,) of octaves of which the highest ends there."""
    return octave_edges(np.array([octave_above(high)], np.int32), bins).ravel()


def bar_heights(counts: NDArray[np.int64], logarithmic: bool) -> NDArray[np.float32]:
    """(n, bins) heights as shares of each histogram's highest."""
    values = np.log1p(counts) if logarithmic else counts.astype(np.float64)
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
_AT_ONCE = 16  # plots that fit into the processor's cache


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
    span = top - low
    up = np.arange(high - 1, -1, -1, dtype=np.uint8)[:, None]  # of each row, from the floor
    below = up - np.uint8(1)  # nothing is filled at the floor, of which this is 255
    pixels = np.empty((rows, high, wide), np.uint8)
    for first in range(0, rows, _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        some = pixels[part]
        np.less(below, filled[part, None], out=some.view(np.bool_))
        # One comparison for both bounds: what is below the lower one wraps around.
        outline = (up - low[part, None] <= span[part, None]).view(np.uint8)
        outline *= OUTLINE
        np.maximum(some, outline, out=some)
    pixels[top[:, -1] == 0, :, -1] = GROUND  # no wall where the last bin is empty
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


def draw_parts(
    painter: QPainter,
    picture: QPixmap,
    lefts: NDArray[np.intp],
    tops: NDArray[np.intp],
    high: int,
) -> None:
    """Draw a picture's parts of that height, which lie below each other, at (n,) corners."""
    wide = picture.width()
    array = PrimitiveArray(QPainter.PixmapFragment, 10)
    array.resize(len(lefts))
    # Centre, corner in the picture, size, scale across and down, rotation and opacity.
    fragments = array.ndarray()
    fragments[:] = 0, 0, 0, 0, wide, high, 1, 1, 0, 1
    fragments[:, 0] = lefts + wide / 2
    fragments[:, 1] = tops + high / 2
    fragments[:, 3] = np.arange(len(lefts)) * high
    painter.drawPixmapFragments(*array.drawargs(), picture)  # type: ignore[call-arg]
