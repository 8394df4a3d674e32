"""A history on one value axis, kept in step with it: new columns are added, not all done anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from widgets.binning import Floats, ValueAxis, rebin_all, shared_axis
from widgets.step_history import StepHistory

MOST = 254  # level of the highest count of a column


class BinnedHistory:
    """``table`` has shape (n, rows + 2): below the axis, its rows, above it.

    ``levels`` are the same as shares of the highest of each column, from 1 to 254; 0 is nothing.
    """

    def __init__(self) -> None:
        self.axis: ValueAxis | None = None
        self.table: Floats = np.zeros((0, 2))
        self.levels: NDArray[np.uint8] = np.zeros((0, 2), np.uint8)
        self._logarithmic = False
        self._epoch = -1
        self._until = 0

    def follow(self, history: StepHistory, octaves: bool, logarithmic: bool) -> None:
        """Take what the history has now."""
        axis = shared_axis(history.edges, history.counts, octaves)
        fresh = (
            history.epoch != self._epoch
            or self._logarithmic != logarithmic
            or (axis is not None and not axis.same(self.axis))
            or (axis is None) != (self.axis is None)
        )
        if not fresh and history.until == self._until:
            return
        start = 0 if fresh else max(0, self._until - history.dropped)
        edges = axis.edges if axis is not None else np.zeros(1)
        table = rebin_all(history.edges[start:], history.counts[start:], edges)
        levels = shares(table, logarithmic)
        if start:
            old = slice(len(self.table) - start, None)
            table = np.concatenate([self.table[old], table])
            levels = np.concatenate([self.levels[old], levels])
        self.axis, self.table, self.levels = axis, table, levels
        self._logarithmic = logarithmic
        self._epoch, self._until = history.epoch, history.until


def shares(table: Floats, logarithmic: bool) -> NDArray[np.uint8]:
    """Counts as shares of the highest of their column, 1 to 254; 0 where nothing is.

    Each column by itself: a column never changes because another one came.
    """
    heights = np.log1p(table) if logarithmic else table
    highest = heights.max(axis=1, keepdims=True, initial=0)
    levels = np.ceil(heights * (MOST / np.where(highest > 0, highest, 1)))
    return np.asarray(np.minimum(levels, MOST).astype(np.uint8))
