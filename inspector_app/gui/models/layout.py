"""Which rows of a table a tree shows and where: index arithmetic over arrays, no objects.

A :class:`Layout` is made in some milliseconds for a hundred thousand rows and never changes.
Rows are meant by their positions in the table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.table import RowTable

Mask = NDArray[np.bool_]


class Brothers(NamedTuple):
    """Neighbouring rows below one parent."""

    parent: int  # position
    first: int  # row below the parent
    last: int


class Layout:
    """Children of every row that is shown."""

    def __init__(self, table: RowTable, shown: Mask) -> None:
        """``shown``: (n,) rows to show; the parent of one that is shown must be shown too."""
        self.shown = shown
        self._parent = table.parent
        positions = np.flatnonzero(shown).astype(np.int32)
        parents = table.parent[positions]
        # Positions ascend, so a stable sort by parent keeps brothers in order.  The root (parent
        # -1) comes first of all, then the children of position 0, of position 1, and so on.
        order = np.argsort(parents, kind="stable")
        children = positions[order]
        parents = parents[order][1:]
        starts = np.ones(len(table) + 1, np.int64)
        starts[1:] += np.cumsum(np.bincount(parents, minlength=len(table)))
        self._ranks = np.zeros(len(table), np.int32)
        self._ranks[children[1:]] = np.arange(1, len(parents) + 1) - starts[parents]
        # Views ask for one row at a time, which lists answer three times as fast as arrays.
        self._children: list[int] = children.tolist()
        self._starts: list[int] = starts.tolist()
        self._rank: list[int] = self._ranks.tolist()

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

    def groups(self, chosen: Mask, most: int) -> list[Brothers] | None:
        """The shown rows of ``chosen`` but the root, as groups of neighbours, by parent and row.

        None where there are more than ``most`` groups.
        """
        at = np.flatnonzero(chosen & self.shown)
        at = at[at > 0]
        if not len(at):
            return []
        if np.count_nonzero(np.bincount(self._parent[at])) > most:
            return None
        # Brothers need not be neighbours in preorder: bring them together first.
        at = at[np.argsort(self._parent[at], kind="stable")]
        parents, ranks = self._parent[at], self._ranks[at]
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
