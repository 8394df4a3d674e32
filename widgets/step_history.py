"""Histograms of one series, step by step, as many as a stated bound: the store behind the views.

Knows no Qt: whoever adds to it tells the views to look again.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]
Counts = NDArray[np.int64]
_T = TypeVar("_T", bound=np.generic)

BOUND = 1024  # columns kept; of 64 bins each they take about 1.3 MB
_AROUND = 2  # neighbours at either side that tell how far apart steps usually are
_APART = 1.5  # of the usual distance: more is a gap


class StepHistory:
    """Columns in the order of their steps, the newest last.

    ``dropped`` counts those that fell out at the left since everything was set anew; ``epoch``
    changes whenever columns that were there before are other ones now.
    """

    def __init__(self, bound: int = BOUND) -> None:
        if bound < 1:
            raise ValueError(f"a history needs room for one column at least, not {bound}")
        self.bound = bound
        self.epoch = 0
        self._empty()

    def _empty(self) -> None:
        self.dropped = 0
        self.steps: Steps = np.empty(0, np.int64)
        self.edges: Floats = np.empty((0, 1))  # (n, bins + 1), rising; NaN: no finite value
        self.counts: Counts = np.empty((0, 0), np.int64)  # (n, bins)
        self.nan: Counts = np.empty(0, np.int64)
        self.infinite: Counts = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.steps)

    def clear(self) -> None:
        """Forget everything."""
        self._empty()
        self.epoch += 1

    def set(
        self, steps: Steps, edges: Floats, counts: Counts, nan: Counts, infinite: Counts
    ) -> None:
        """Take other columns in place of all; the shapes as the attributes'.

        Raises ValueError where shapes do not fit each other.
        """
        self.clear()
        self.append(steps, edges, counts, nan, infinite)

    def append(
        self, steps: Steps, edges: Floats, counts: Counts, nan: Counts, infinite: Counts
    ) -> None:
        """Add columns at the right; see :meth:`set`.

        A step at or below one before it replaces all from there on: a run that went back to a
        checkpoint overwrites what it does again.
        """
        steps = np.atleast_1d(np.asarray(steps, np.int64))
        counts = np.atleast_2d(np.asarray(counts, np.int64))
        edges = np.atleast_2d(np.asarray(edges, np.float64))
        if not len(steps):
            return
        if len(self) and counts.shape[1] != self.counts.shape[1]:
            raise ValueError(
                f"columns of {counts.shape[1]} bins cannot follow columns of {self.counts.shape[1]}"
            )
        if edges.shape != (len(steps), counts.shape[1] + 1) or len(counts) != len(steps):
            raise ValueError(
                f"{len(steps)} steps do not fit counts {counts.shape} and edges {edges.shape}"
            )
        nan, infinite = np.atleast_1d(nan), np.atleast_1d(infinite)
        valid = last_said(steps)
        if not valid.all():
            steps, edges, counts = steps[valid], edges[valid], counts[valid]
            nan, infinite = nan[valid], infinite[valid]
        kept = int(np.searchsorted(self.steps, steps[0]))
        if kept < len(self):
            self.epoch += 1
        first = max(0, kept + len(steps) - self.bound)
        self.dropped += first

        self.steps = _joined(self.steps, steps, kept, first)
        self.edges = _joined(self.edges, edges, kept, first)
        self.counts = _joined(self.counts, counts, kept, first)
        self.nan = _joined(self.nan, nan, kept, first)
        self.infinite = _joined(self.infinite, infinite, kept, first)

    @property
    def until(self) -> int:
        """Number of the next column, counted from the first that ever was."""
        return self.dropped + len(self)

    def said(self) -> str:
        """What is kept, in words; empty while nothing was dropped."""
        return f"the newest {self.bound:,} steps are kept" if self.dropped else ""


def _joined(old: NDArray[_T], new: NDArray[_T], kept: int, first: int) -> NDArray[_T]:
    """The first ``kept`` of the old ones and the new ones, without the first ``first`` of all."""
    whole = np.concatenate([old[:kept], new]) if kept else np.array(new)
    return whole[first:]


def last_said(steps: Steps) -> NDArray[np.bool_]:
    """Which of the steps, in the order they came, no later one overwrites: they rise."""
    lowest_later = np.minimum.accumulate(steps[::-1])[::-1]
    return np.append(steps[:-1] < lowest_later[1:], np.ones(min(1, len(steps)), np.bool_))


def column_ends(steps: Steps) -> Floats:
    """Where each column ends at the right: at the next step, or before it where a gap follows.

    Steps that are measured at every fourth are four wide; where some are missing beyond what is
    usual around them, the column is as wide as is usual and the rest is a gap.  Shape (n,).
    """
    if len(steps) < 2:
        return steps.astype(np.float64) + 1
    apart = np.diff(steps).astype(np.float64)
    padded = np.pad(apart, _AROUND, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1)
    usual = np.median(around, axis=1)
    widths = np.where(apart > _APART * usual, usual, apart)
    return np.asarray(steps + np.append(widths, usual[-1]))
