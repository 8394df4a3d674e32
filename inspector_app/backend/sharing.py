"""Which rows hold memory that other rows hold as well.

Rows of the very same memory are tied: the table knows them.  Beyond that, one tensor may be a part
of another, or a numpy array may lie under two of them: these are found by their addresses.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from inspector_app.backend.planning import rows_where
from inspector_app.backend.tree import Tree
from inspector_app.protocol.table import Flag, Int32, Int64, RowTable

_WORK = 10_000  # solutions tried before two interleaved views are taken to overlap


def _address(tensor: Tensor) -> int:
    """Where a tensor's first element lies; 0 where that cannot be said."""
    try:
        return 0 if tensor.layout is not torch.strided else tensor.data_ptr()
    except (RuntimeError, NotImplementedError):
        return 0  # a tensor without storage of its own


def _extent(tensor: Tensor) -> int:
    """Bytes from the first to past the last element in memory."""
    if 0 in tensor.shape:
        return 0
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()


def _as_array(tensor: Tensor) -> np.ndarray:
    """An array at the tensor's place, for numpy to reason about; its values are never read."""
    size = tensor.element_size()
    interface = {
        "version": 3,
        "typestr": f"|V{size}",
        "shape": tuple(tensor.shape),
        "strides": tuple(step * size for step in tensor.stride()),
        "data": (tensor.data_ptr(), True),
    }
    return np.asarray(SimpleNamespace(__array_interface__=interface))


def _overlap(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors whose extents overlap have an element's byte in common."""
    if first.device != second.device:
        return False
    if first.is_contiguous() and second.is_contiguous():
        return True
    try:
        return bool(np.shares_memory(_as_array(first), _as_array(second), max_work=_WORK))
    except np.exceptions.TooHardError:
        return True


def tied_rows(table: RowTable, positions: Int32) -> Int32:
    """``positions`` and all rows tied to one of them."""
    ties = table.tie[positions]
    ties = ties[ties >= 0]
    if not len(ties):
        return positions
    chosen = np.isin(table.tie, ties)
    chosen[positions] = True
    return rows_where(chosen)


def overlapping_rows(tree: Tree, positions: Int32) -> Int32:
    """Rows outside ``positions`` that share a part of their memory, and are not tied to them.

    A hundred thousand tensors take some 30 milliseconds; tensors without an address (meta, lazy,
    sparse) share nothing here.
    """
    table = tree.table
    has_data = (table.flags & (Flag.TENSOR | Flag.META | Flag.LAZY)) == Flag.TENSOR
    others = has_data.copy()
    others[tied_rows(table, positions)] = False
    if not others.any() or not len(positions):
        return np.empty(0, np.int32)
    chosen = np.zeros(len(table), bool)
    chosen[positions] = True
    rows = rows_where(others | (chosen & has_data))
    tensors = [tree.objects[row] for row in rows.tolist()]
    with torch._C.DisableTorchFunctionSubclass():
        start: Int64 = np.asarray([_address(tensor) for tensor in tensors], np.int64)
        known = np.flatnonzero(start)
        extent = np.zeros(len(start), np.int64)
        extent[known] = [_extent(tensors[index]) for index in known.tolist()]
        stop = start + extent
        mine = known[chosen[rows[known]]]
        theirs = known[~chosen[rows[known]]]
        mine = mine[np.argsort(start[mine], kind="stable")]
        if not len(mine) or not len(theirs):
            return np.empty(0, np.int32)
        # Of all of mine that begin before one of theirs ends, does one end after it begins?
        reach = np.maximum.accumulate(stop[mine])
        before = np.searchsorted(start[mine], stop[theirs], side="left") - 1
        near = theirs[(before >= 0) & (reach[before] > start[theirs]) & (extent[theirs] > 0)]
        found = []
        for other in near.tolist():
            meets = mine[(start[mine] < stop[other]) & (stop[mine] > start[other])]
            if any(_overlap(tensors[other], tensors[index]) for index in meets.tolist()):
                found.append(int(rows[other]))
    return np.asarray(found, np.int32)
