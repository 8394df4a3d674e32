"""Which rows of a table a tree shows and where: index arithmetic over arrays, no objects.

A :class:`Layout` is made in some milliseconds for a hundred thousand rows and never changes.
Rows are meant by their positions in the table.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from inspector_app.gui.models.row_values import Mask
from inspector_app.gui.models.sorting import model_order
from inspector_app.protocol.table import Int32, RowTable


class Brothers(NamedTuple):
    """Neighbouring rows below one parent."""

    parent: int  # position
    first: int  # row below the parent
    last: int


class Layout:
    """Children of every row that is shown."""

    def __init__(self, table: RowTable, shown: Mask, order: Int32 | None = None) -> None:
        """``shown``: (n,) rows to show; the parent of one that is shown must be shown too.

        ``order``: (n,) positions of all rows by parent, brothers in the order to show them in;
        None for the order of the model.
        """
        self.shown = shown
        self._table = table
        if order is None:
            order = model_order(table)
        # The root (parent -1) comes first of all, then the children of position 0, and so on.
        children = order[shown[order]]
        parents = table.parent[children[1:]]
        starts = np.ones(len(table) + 1, np.int64)
        starts[1:] += np.cumsum(np.bincount(parents, minlength=len(table)))
        self._ranks = np.zeros(len(table), np.int32)
        self._ranks[children[1:]] = np.arange(1, len(children)) - starts[parents]
        # Views ask for one row at a time: memoryviews give plain numbers, without a copy.
        self._at = children
        self._children = children.data
        self._starts = starts.data
        self._rank = self._ranks.data

    def count(self, position: int) -> int:
        """Children of a row that are shown."""
        return self._starts[position + 1] - self._starts[position]

    def child(self, position: int, row: int) -> int:
        """Position of the child at ``row``; -1 where there is none."""
        at = self._starts[position] + row
        return self._children[at] if row >= 0 and at < self._starts[position + 1] else -1

    def rank(self, position: int) -> int:
        """Row of a position below its parent."""
        return self._rank[position]

    def children(self, brothers: Brothers) -> Int32:
        """Positions of neighbours."""
        start = self._starts[brothers.parent]
        return self._at[start + brothers.first : start + brothers.last + 1]

    @cached_property
    def display(self) -> Int32:
        """(n,) place of every row that is shown, were all of them open; others mean nothing."""
        table, at = self._table, self._at
        sizes = np.concatenate(([0], np.cumsum(self.shown)))
        below = (sizes[table.end] - sizes[:-1])[at]  # rows shown of each subtree, with its top
        before = np.cumsum(below) - below
        first = at[np.asarray(self._starts)[table.parent[at[1:]]]]
        # From the row above: itself, and the subtrees of the brothers before.
        steps = np.zeros(len(table) + 1, np.int64)
        by_position = np.zeros(len(table), np.int64)
        by_position[at] = before
        steps[at[1:]] = 1 + before[1:] - by_position[first]
        # All in a subtree stand behind what its top does: a running sum, taken back at its end.
        moves = steps.copy()
        np.subtract.at(moves, table.end[at], steps[at])
        return np.cumsum(moves[:-1]).astype(np.int32)

    def groups(self, chosen: Mask, most: int) -> list[Brothers] | None:
        """The shown rows of ``chosen`` but the root, as groups of neighbours, by parent and row.

        None where there are more than ``most`` groups.
        """
        at = np.flatnonzero(chosen & self.shown)
        at = at[at > 0]
        if not len(at):
            return []
        if np.count_nonzero(np.bincount(self._table.parent[at])) > most:
            return None
        # Brothers need not be neighbours in preorder: bring them together first.
        at = at[np.lexsort((self._ranks[at], self._table.parent[at]))]
        parents, ranks = self._table.parent[at], self._ranks[at]
        breaks = np.flatnonzero((np.diff(parents) != 0) | (np.diff(ranks) != 1)) + 1
        if len(breaks) >= most:
            return None
        firsts = np.concatenate(([0], breaks))
        lasts = np.concatenate((breaks - 1, [len(at) - 1]))
        columns = (parents[firsts].tolist(), ranks[firsts].tolist(), ranks[lasts].tolist())
        return [Brothers(*group) for group in zip(*columns, strict=True)]


def topmost(table: RowTable, chosen: Mask) -> Mask:
    """Those of ``chosen`` whose parent is not among them."""
    tops = chosen.copy()
    at = np.flatnonzero(chosen[1:]) + 1
    tops[at] = ~chosen[table.parent[at]]
    return tops


def with_ancestors(table: RowTable, chosen: Mask) -> Mask:
    """``chosen`` and all rows above them."""
    running = np.concatenate(([0], np.cumsum(chosen)))
    mask: Mask = running[table.end] > running[:-1]
    return mask


def with_subtrees(table: RowTable, chosen: Mask) -> Mask:
    """``chosen`` and all rows below them."""
    opened = chosen.astype(np.int32)
    closed = np.bincount(table.end[chosen], minlength=len(table) + 1)[:-1]
    mask: Mask = np.cumsum(opened - closed) > 0
    return mask
