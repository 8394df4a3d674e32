"""Which rows of a model are modules, and which of those have none below them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.table import Flag, Role, RowTable

_NUMBERS = frozenset({"NoneType", "bool", "int", "float", "complex"})  # rows of plain values


def modules_of(table: RowTable) -> NDArray[np.bool_]:
    """(n,) which rows are modules, also those that a plain list or attribute holds."""
    plain = Flag.TENSOR | Flag.CONTAINER
    number = np.asarray([name in _NUMBERS for name in table.classes], bool)
    held = (table.role == Role.ATTRIBUTE) & ((table.flags & plain) == 0)
    held &= ~number[table.class_index]
    modules: NDArray[np.bool_] = (table.role == Role.MODULE) | held
    return modules


def leaf_modules(table: RowTable, position: int) -> list[int]:
    """Ids of the modules at or below ``position`` that have none below them, each object once."""
    modules = modules_of(table)
    running = np.concatenate(([0], np.cumsum(modules)))
    first = np.arange(len(table))
    leaves = modules & (running[table.end] - running[first + 1] == 0)
    leaves &= (table.flags & (Flag.REPEATED | Flag.REFERENCE)) == 0
    chosen = np.flatnonzero(leaves[position : table.end[position]]) + position
    return [int(row) for row in table.ids[chosen]]
