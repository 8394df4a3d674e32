"""Which rows hold memory that other rows hold as well.

Rows of the very same memory are tied: the table knows them.  Beyond that, one tensor may be a part
of another: these are found by the ranges of bytes that the tree knows.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector_app.backend.planning import rows_where
from inspector_app.backend.ranges import ranks
from inspector_app.backend.tensors import share_a_byte
from inspector_app.backend.tree import Tree
from inspector_app.protocol.table import Flag, Int32, RowTable

_BASE: Any = torch._C.TensorBase


class Tie(Enum):
    """In what way two rows hold the same memory; the value is how a person reads it."""

    OBJECT = "the same object"
    STORAGE = "another tensor on the same storage and range"
    BYTES = "another storage on the same bytes, lent by numpy or another library"
    WRAPPED = "another tensor around the same memory"


def tied_rows(table: RowTable, positions: Int32) -> Int32:
    """``positions`` and all rows tied to one of them."""
    ties = table.tie[positions]
    ties = ties[ties >= 0]
    if not len(ties):
        return positions
    chosen = np.isin(table.tie, ties)
    chosen[positions] = True
    return rows_where(chosen)


def _storage(tensor: Tensor) -> int | None:
    """Identity of a tensor's own storage; None where it has none."""
    try:
        return int(_BASE.untyped_storage(tensor)._cdata)
    except Exception:  # noqa: BLE001 - torch raises a different class for every kind of tensor
        return None


def kind_of_tie(first: Tensor, second: Tensor) -> Tie:
    """How two tensors that hold the same bytes are tied."""
    if first is second:
        return Tie.OBJECT
    with torch._C.DisableTorchFunctionSubclass():
        storages = _storage(first), _storage(second)
    if None in storages:
        return Tie.WRAPPED
    return Tie.STORAGE if storages[0] == storages[1] else Tie.BYTES


def overlapping_rows(tree: Tree, positions: Int32) -> Int32:
    """Rows not tied to ``positions`` that share a part of the memory of these or of their ties."""
    table = tree.table
    candidates = (table.flags & Flag.OVERLAPS) != 0
    mine = tied_rows(table, positions)
    chosen = np.zeros(len(table), bool)
    chosen[mine] = True
    others, chosen = candidates & ~chosen, candidates & chosen
    if not (others.any() and chosen.any()):
        return np.empty(0, np.int32)
    rows = rows_where(chosen | others)
    start, stop = ranks(tree.space[rows], tree.start[rows], tree.start[rows] + table.bytes[rows])
    own, theirs = np.flatnonzero(chosen[rows]), np.flatnonzero(others[rows])
    own = own[np.argsort(start[own], kind="stable")]
    # Of all of mine that begin before one of theirs ends, does one end after it begins?
    reach = np.maximum.accumulate(stop[own])
    before = np.searchsorted(start[own], stop[theirs], side="left") - 1
    near = theirs[(before >= 0) & (reach[before] > start[theirs])]
    found = []
    for other in near.tolist():
        meets = own[(start[own] < stop[other]) & (stop[own] > start[other])]
        tensor = tree.objects[rows[other]]
        if any(share_a_byte(tensor, tree.objects[row]) for row in rows[meets].tolist()):
            found.append(int(rows[other]))
    return np.asarray(found, np.int32)
