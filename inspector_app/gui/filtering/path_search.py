"""Finding rows by their paths without making the paths.

A path is the name of a row behind the path of the row above, so what an automaton makes of it
follows from the state it was left in above and from the name.  Rows are taken level by level, and
each pair of a state and a name is looked at once, however many rows have it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from inspector_app.gui.filtering.automaton import START, Automaton
from inspector_app.gui.filtering.expressions import Node
from inspector_app.gui.models.names import Names
from inspector_app.gui.models.row_values import Mask
from inspector_app.protocol.table import Flag, Int32, Int64, RowTable

_FEW = 24  # rows of a level that plain Python goes through faster than numpy
_LARGEST = 1_000_000  # number up to which a table is faster than sorting


class PathSearch:
    """Searches the paths of one table."""

    def __init__(self, table: RowTable, names: Names) -> None:
        self._table = table
        self._names = names

    def names_with(self, text: str) -> Mask:
        """Rows whose own name holds ``text`` (lower-case); the root's is not part of any path."""
        known = [text in name for name in self._names.lower]
        found: Mask = np.asarray([*known, False], bool)[self._names.codes]
        found[:1] &= not text
        return found

    def find(self, node: Node) -> Mask:
        """Rows where ``node`` is found up to somewhere in their own name, or to its end.

        What is found further up belongs to the row there.  Raises ExpressionError where it takes
        too long.
        """
        automaton = Automaton(node)
        states = np.zeros(len(self._table), np.int64)
        found = np.zeros(len(self._table), bool)
        read = _Reader(automaton, [*self._names.lower, ""])
        for rows, above, segments in self.levels:
            before = states[above] if len(above) else np.full(len(rows), START)
            states[rows], found[rows] = read.level(before, segments)
        return found

    @cached_property
    def levels(self) -> list[tuple[Int32, Int32, Int64]]:
        """Per level: positions of its rows, of the rows above them, and what their paths add."""
        table = self._table
        if not len(table):
            return []
        below_root = table.parent <= 0
        is_item = (table.flags & Flag.ITEM) != 0
        # 0: the name alone; 1: behind a dot.  The first name is told apart: it may match at once.
        kind = np.where(below_root, 2, np.where(is_item, 0, 1))
        segments = 3 * self._names.codes.astype(np.int64) + kind
        segments[0] = 3 * len(self._names.distinct)  # the root adds nothing
        order = np.argsort(table.depth, kind="stable").astype(np.int32)
        ends = np.cumsum(np.bincount(table.depth))
        levels = []
        for start, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            rows = order[start:stop]
            above = table.parent[rows] if start else rows[:0]
            levels.append((rows, above, segments[rows]))
        return levels


def _distinct(numbers: Int64) -> tuple[Int64, Int64]:
    """Sorted distinct numbers of 0 or more, and where among them each number is."""
    highest = int(numbers.max(initial=0))
    if highest > _LARGEST:
        found, at = np.unique(numbers, return_inverse=True)
        return found, at
    is_there = np.zeros(highest + 1, bool)
    is_there[numbers] = True
    places = np.cumsum(is_there) - 1
    return np.flatnonzero(is_there), places[numbers]


class _Reader:
    """What an automaton makes of states and segments, each pair once."""

    def __init__(self, automaton: Automaton, names: list[str]) -> None:
        self._automaton = automaton
        self._names = names
        self._known: dict[tuple[int, int], tuple[int, bool]] = {}

    def level(self, before: Int64, segments: Int64) -> tuple[Int64, Mask]:
        """States after the segments, and whether something was found in each."""
        if len(before) <= _FEW:
            pairs = zip(before.tolist(), segments.tolist(), strict=True)
            done = [self._read(*pair) for pair in pairs]
            return np.asarray([d[0] for d in done]), np.asarray([d[1] for d in done], bool)
        states, state_at = _distinct(before)
        width = int(segments.max()) + 1
        distinct, at = _distinct(state_at * width + segments)
        done = [
            self._read(state, segment)
            for state, segment in zip(
                states[distinct // width].tolist(), (distinct % width).tolist(), strict=True
            )
        ]
        after = np.asarray([d[0] for d in done], np.int64)
        found = np.asarray([d[1] for d in done], bool)
        return after[at], found[at]

    def _read(self, state: int, segment: int) -> tuple[int, bool]:
        known = self._known.get((state, segment))
        if known is None:
            known = self._known[state, segment] = self._read_new(state, segment)
        return known

    def _read_new(self, state: int, segment: int) -> tuple[int, bool]:
        automaton = self._automaton
        code, kind = divmod(segment, 3)
        name = self._names[code]
        after, found = automaton.read(state, "." + name if kind == 1 else name)
        if kind == 2 and name:  # nothing stands before it that could have been found already
            found = found or automaton.step(state, name[0])[1]
        return after, found or automaton.ends(after)
