"""Small histograms as filled step outlines.

pyqtgraph lays numpy's points into Qt's path as they lie in memory, without a Python call for each.
It takes 0.7 s to import, which is why this module is imported when there is something to draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.functions import arrayToQPath
from PySide6.QtCore import QRect
from PySide6.QtGui import QPainterPath


@dataclass(frozen=True)
class Record:
    """One firing as a cell shows it; ``low`` and ``high`` bound the bins, all of equal width."""

    low: float
    high: float
    counts: NDArray[np.int64]
    mean: float
    deviation: float
    nan: int
    infinite: int
    step: int
    note: str = ""
    shares: dict[bool, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def heights(self, logarithmic: bool) -> NDArray[np.float32]:
        """Heights of the bins as shares of the highest, worked out once."""
        heights = self.shares.get(logarithmic)
        if heights is None:
            values = np.asarray(self.counts, np.float64)
            values = np.log1p(values) if logarithmic else values
            highest = float(values.max(initial=0))
            heights = (values / highest if highest > 0 else values).astype(np.float32)
            self.shares[logarithmic] = heights
        return heights

    @property
    def mean_place(self) -> float:
        """The mean as a share of the width; NaN where there is no width or no mean."""
        span = self.high - self.low
        return (self.mean - self.low) / span if span > 0 else math.nan

    def bin_edges(self, number: int) -> tuple[float, float]:
        """Range of one bin."""
        width = (self.high - self.low) / max(1, len(self.counts))
        return self.low + number * width, self.low + (number + 1) * width


def step_points(
    heights: NDArray[np.float32], plot: QRect
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The outline of equal bins standing on the lower edge of ``plot``, from floor to floor.

    ``heights`` are shares of the full height, between 0 and 1; a bin that is not empty is at least
    one pixel high, so that a single outlier can be seen.
    """
    bins = len(heights)
    tall = np.rint(heights * (plot.height() - 1))
    tall[(heights > 0) & (tall == 0)] = 1
    edges = plot.left() + np.arange(bins + 1) * (plot.width() - 1) / bins
    down = np.empty(2 * bins + 2)
    down[0] = down[-1] = plot.bottom()
    down[1:-1] = np.repeat(plot.bottom() - tall, 2)
    return np.repeat(np.rint(edges), 2), down


def step_path(histograms: Sequence[tuple[NDArray[np.float32], QRect]]) -> QPainterPath:
    """The outlines of many histograms, each with its plot, as one path that breaks between them."""
    points = [step_points(heights, plot) for heights, plot in histograms]
    across = np.concatenate([x for x, _ in points])
    down = np.concatenate([y for _, y in points])
    connected = np.ones(len(across), np.int32)
    connected[np.cumsum([len(x) for x, _ in points]) - 1] = 0
    path: QPainterPath = arrayToQPath(across, down, connect=connected, finiteCheck=False)
    return path
