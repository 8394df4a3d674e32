"""Which cells of a grid are painted in a frame, so that none takes longer than it may."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from typing import NamedTuple

_PAINT_TIME = 0.016  # seconds that a frame may paint
_WORDS_EVERY = 16  # frames after which the words of a cell are painted again
_LEAST_AT_ONCE = 8  # cells of a frame, however slow the machine


class RowPart(NamedTuple):
    """Cells from place ``first`` to ``last`` of a row: their plots, or ``whole``."""

    first: int
    last: int
    whole: bool


class CellQueue:
    """Cells that wait, by their places; what is beside the plots waits longer.

    Words take as long as plots and cannot be read thirty times a second: row by row they get their
    turn.
    """

    def __init__(self) -> None:
        self._dirty: set[int] = set()  # those that wait for the next frame
        self._whole: set[int] = set()  # those of them whose words do not wait
        self._unread: set[int] = set()  # those whose words are behind their plots
        self._turn = 0  # rows whose words are painted in this frame
        self._at_once = 64  # cells of a frame, as far as known
        self._painted = -1  # the last of them

    def __len__(self) -> int:
        return len(self._dirty) + len(self._unread)

    def add(self, places: Iterable[int], whole: Iterable[int] = ()) -> None:
        """These have changed; ``whole`` are those of them whose plots are wrong without words."""
        self._dirty.update(places)
        self._whole.update(whole)

    def clear(self) -> None:
        """All are painted, or gone."""
        self._dirty.clear()
        self._whole.clear()
        self._unread.clear()

    def next_frame(self, in_sight: range, columns: int) -> list[RowPart]:
        """What is painted now, going round; what is out of sight is painted when it is seen."""
        waiting = sorted(self._dirty.intersection(in_sight))
        start = bisect(waiting, self._painted)
        waiting = waiting[start:] + waiting[:start]
        now, later = waiting[: self._at_once], waiting[self._at_once :]
        if now:
            self._painted = now[-1]
        self._dirty = set(later)
        self._unread.update(now)
        self._turn = (self._turn + 1) % _WORDS_EVERY
        written = self._whole.intersection(now)
        self._whole.intersection_update(later)
        written |= {p for p in self._unread if p // columns % _WORDS_EVERY == self._turn}
        self._unread -= written
        with_words = {place // columns for place in written}
        parts: dict[int, RowPart] = {}  # by row: clipping to many rectangles is slow
        for place in sorted(written.union(now)):
            row = place // columns
            first = parts[row].first if row in parts else place
            parts[row] = RowPart(first, place, row in with_words)
        return list(parts.values())

    def learn(self, cells: int, seconds: float) -> None:
        """So long it took to paint so many."""
        if cells:
            fitting = int(_PAINT_TIME * cells / max(seconds, 1e-6))
            self._at_once = max(_LEAST_AT_ONCE, (self._at_once + fitting) // 2)
