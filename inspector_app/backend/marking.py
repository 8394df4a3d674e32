"""Which rows are still at their initial value, once a checkpoint was laid onto the model."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
from numpy.typing import NDArray

from inspector_app.backend.planning import rows_where
from inspector_app.backend.tree import Tree
from inspector_app.protocol.table import Flag, Int32, Role, RowTable

_WITHOUT_FLAGS = ("paths", "depth", "_names", "_position_by_id")  # what flags have no part in


def with_flags(table: RowTable, flags: NDArray[np.uint32]) -> RowTable:
    """The table with other flags; what it has found out about its other columns is kept."""
    new = msgspec.structs.replace(table, flags=flags)
    for name in _WITHOUT_FLAGS:
        if name in vars(table):
            vars(new)[name] = vars(table)[name]
    return new


def marked(tree: Tree, settled: Int32 | None) -> tuple[Tree, Int32]:
    """The tree with ``Flag.INITIAL`` where it holds, and the positions at which that is new.

    It holds for parameters, and for buffers that are saved, whose id is not among ``settled``:
    nothing was loaded into them, and nobody initialised them.  ``settled`` None says that nothing
    was loaded at all, so that nothing is marked.
    """
    table = tree.table
    bit = np.uint32(Flag.INITIAL)
    wanted = np.zeros(len(table), bool)
    if settled is not None:
        has_values = (table.flags & (Flag.TENSOR | Flag.LAZY | Flag.META)) == Flag.TENSOR
        saved = (table.role == Role.BUFFER) & ((table.flags & Flag.SAVED) != 0)
        wanted = has_values & ((table.role == Role.PARAMETER) | saved)
        known = np.zeros(max(tree.next_id, int(table.ids.max(initial=-1)) + 1), bool)
        known[settled] = True
        wanted &= ~known[table.ids]
    changed = rows_where(wanted != ((table.flags & bit) != 0))
    if not len(changed):
        return tree, changed
    flags = np.where(wanted, table.flags | bit, table.flags & ~bit)
    return dataclasses.replace(tree, table=with_flags(table, flags)), changed
