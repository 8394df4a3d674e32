"""Points of one curve, and as few of them as show the same picture."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from widgets.step_history import Floats, Steps, column_ends, last_said

BOUND = 200_000  # points kept of each curve
_T = TypeVar("_T", bound=np.generic)
_DENSE = 2  # points for each pixel beyond which a curve is reduced
_REACH = 3  # points back to which a new one can tell whether there was a gap


class CurvePoints:
    """Rising steps and their values; room grows by half, the oldest are dropped at the bound."""

    def __init__(self, bound: int = BOUND) -> None:
        self._bound = bound
        self._steps: Steps = np.empty(0, np.int64)
        self._values: Floats = np.empty(0)
        self._joined: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def steps(self) -> Steps:
        """Rising, shape (n,)."""
        return self._steps[: self._count]

    @property
    def values(self) -> Floats:
        """Shape (n,); NaN and infinities are values like others."""
        return self._values[: self._count]

    @property
    def joined(self) -> NDArray[np.bool_]:
        """Whether a line leads from each point to the next: nothing is missing between them."""
        return self._joined[: self._count]

    def append(self, steps: Steps, values: Floats) -> None:
        """Add points; a step at or below one before it replaces all from there on.

        Raises ValueError where the lengths differ.
        """
        steps = np.atleast_1d(np.asarray(steps, np.int64))
        values = np.atleast_1d(np.asarray(values, np.float64))
        if len(steps) != len(values):
            raise ValueError(f"a curve needs a value for each step, not {len(values)}")
        if not len(steps):
            return
        valid = last_said(steps)
        steps, values = steps[valid], values[valid]
        kept = int(np.searchsorted(self.steps, steps[0]))
        self._count = kept
        excess = kept + len(steps) - self._bound
        if excess > 0:
            self._drop(excess + self._bound // 4 if kept else 0)
            steps, values = steps[-self._bound :], values[-self._bound :]
            kept = self._count
        self._make_room(kept + len(steps))
        self._steps[kept : kept + len(steps)] = steps
        self._values[kept : kept + len(steps)] = values
        self._count = kept + len(steps)
        # A gap is judged by the distances around it, on both sides (see column_ends).
        changed = max(0, kept - _REACH)
        start = max(0, changed - 2)
        around = self.steps[start:]
        self._joined[changed : self._count - 1] = (column_ends(around)[:-1] >= around[1:])[
            changed - start :
        ]
        self._joined[self._count - 1] = False

    def _drop(self, count: int) -> None:
        """The oldest go; a quarter more than needed, so that it is done seldom."""
        count = min(count, self._count)
        for array in (self._steps, self._values, self._joined):
            array[: self._count - count] = array[count : self._count].copy()
        self._count -= count

    def _make_room(self, count: int) -> None:
        if count > len(self._steps):
            size = count + count // 2
            self._steps = _longer(self._steps, size)
            self._values = _longer(self._values, size)
            self._joined = _longer(self._joined, size)


def _longer(array: NDArray[_T], size: int) -> NDArray[_T]:
    longer = np.empty(size, array.dtype)
    longer[: len(array)] = array
    return longer


class Drawn(NamedTuple):
    """What is painted of a curve: places in pixels from the left, values, and where lines break."""

    across: Floats  # (n,)
    values: Floats  # (n,) finite
    joined: NDArray[np.bool_]  # (n,) a line leads to the next


class Reduced(NamedTuple):
    """A curve for so many pixels.

    ``outline`` reaches to the lowest and the highest value of each pixel; where it stands for more
    points than can be told apart, ``middle`` are the means, else None.
    """

    outline: Drawn
    middle: Drawn | None
    broken: NDArray[np.int64]  # pixels in which some value is not finite


def reduced(points: CurvePoints, first: float, last: float, width: int) -> Reduced:
    """The points between two steps, at most four for each of ``width`` pixels.

    First, lowest, highest and last of a pixel draw the same line as all of its points do: M4 of
    Jugel, Jerzak, Hackenbroich and Markl (VLDB 2014).
    """
    start, stop = np.searchsorted(points.steps, [first, last + 1e-9])
    steps, values = points.steps[start:stop], points.values[start:stop]
    joined = points.joined[start:stop]
    across = (steps.astype(np.float64) - first) / max(last - first, 1e-9) * (width - 1)
    finite = np.isfinite(values)
    broken = np.unique(np.rint(across[~finite]).astype(np.int64))
    if not finite.all():
        joined = joined & np.append(finite[1:], False)
        across, values, joined = across[finite], values[finite], joined[finite]
    if len(values) <= _DENSE * width:
        return Reduced(Drawn(across, values, joined), None, broken)
    pixels = np.rint(across).astype(np.int64)
    firsts = np.flatnonzero(np.append(True, pixels[1:] != pixels[:-1]))
    lasts = np.append(firsts[1:], len(pixels)) - 1
    low, high = np.minimum.reduceat(values, firsts), np.maximum.reduceat(values, firsts)
    table = np.stack([values[firsts], low, high, values[lasts]], axis=1)
    together = np.ones(table.shape, np.bool_)
    together[:, -1] = joined[lasts]
    places = pixels[firsts].astype(np.float64)
    outline = Drawn(np.repeat(places, 4), table.ravel(), together.ravel())
    counts = lasts - firsts + 1
    # Divided first: no overflow; rounding must not carry the mean of equal values past them.
    means = np.add.reduceat(values / np.repeat(counts, counts), firsts)
    means = np.minimum(np.maximum(means, low), high)
    return Reduced(outline, Drawn(places, means, joined[lasts]), broken)
