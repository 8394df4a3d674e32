"""Which rows hold memory that other rows hold as well.

Rows of the very same memory are tied: the table knows them.  Beyond that, one tensor may be a part
of another: these are found by the ranges of bytes that the tree knows.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inspector_app.backend.planning import rows_where
from inspector_app.backend.tree import Tree
from inspector_app.protocol.table import Flag, Int32, Int64, RowTable

_WORK = 10_000  # solutions tried before two interleaved views are taken to overlap


def _as_array(tensor: Tensor) -> NDArray[np.void]:
    """An array at the tensor's place, for numpy to reason about; its values are never read."""
    size = tensor.element_size()
    interface = {
        "version": 3,
        "typestr": f"|V{size}",
        "shape": tuple(tensor.shape),
        "strides": tuple(step * size for step in tensor.stride()),
        "data": (max(tensor.data_ptr(), 1), True),
    }
    return np.asarray(SimpleNamespace(__array_interface__=interface))


def _overlap(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors whose spans overlap have a byte of an element in common."""
    with torch._C.DisableTorchFunctionSubclass():
        try:
            if first.is_meta or (first.is_contiguous() and second.is_contiguous()):
                return True
            shares: Any = np.shares_memory
            return bool(shares(_as_array(first), _as_array(second), max_work=_WORK))
        except (RuntimeError, NotImplementedError, np.exceptions.TooHardError):
            return True  # cannot be said, so it is taken to be so


def tied_rows(table: RowTable, positions: Int32) -> Int32:
    """``positions`` and all rows tied to one of them."""
    ties = table.tie[positions]
    ties = ties[ties >= 0]
    if not len(ties):
        return positions
    chosen = np.isin(table.tie, ties)
    chosen[positions] = True
    return rows_where(chosen)


def _ranks(space: Int64, start: Int64, stop: Int64) -> tuple[Int64, Int64]:
    """``start`` and ``stop`` as numbers in the same order, those of each space apart."""
    spaces, points = np.concatenate((space, space)), np.concatenate((start, stop))
    order = np.lexsort((points, spaces))
    new = (np.diff(points[order]) != 0) | (np.diff(spaces[order]) != 0)
    ranks = np.empty(len(points), np.int64)
    ranks[order] = np.concatenate(([0], np.cumsum(new)))
    return ranks[: len(space)], ranks[len(space) :]


def overlapping_rows(tree: Tree, positions: Int32) -> Int32:
    """Rows outside ``positions`` that share a part of their memory, and are not tied to them."""
    table = tree.table
    tensors = ((table.flags & Flag.TENSOR) != 0) & (table.bytes > 0)
    chosen = np.zeros(len(table), bool)
    chosen[positions] = True
    chosen &= tensors
    others = tensors.copy()
    others[tied_rows(table, positions)] = False
    if not others.any():
        return np.empty(0, np.int32)
    # Only where both kinds stand in one space can they meet.
    others &= np.isin(tree.space, tree.space[chosen])
    chosen &= np.isin(tree.space, tree.space[others])
    rows = rows_where(chosen | others)
    if not len(rows):
        return rows
    start, stop = _ranks(tree.space[rows], tree.start[rows], tree.start[rows] + table.bytes[rows])
    mine, theirs = np.flatnonzero(chosen[rows]), np.flatnonzero(others[rows])
    mine = mine[np.argsort(start[mine], kind="stable")]
    # Of all of mine that begin before one of theirs ends, does one end after it begins?
    reach = np.maximum.accumulate(stop[mine])
    before = np.searchsorted(start[mine], stop[theirs], side="left") - 1
    near = theirs[(before >= 0) & (reach[before] > start[theirs])]
    found = []
    for other in near.tolist():
        meets = mine[(start[mine] < stop[other]) & (stop[mine] > start[other])]
        tensor = tree.objects[rows[other]]
        if any(_overlap(tensor, tree.objects[row]) for row in rows[meets].tolist()):
            found.append(int(rows[other]))
    return np.asarray(found, np.int32)
