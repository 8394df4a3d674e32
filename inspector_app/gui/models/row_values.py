"""Numbers and words of whole columns at once, for painting, sorting and filtering alike."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Int32, Int64, Role, RowTable

Mask = NDArray[np.bool_]

# Bytes of one element; what is not here (4-bit values, types to come) is not guessed.
ITEM_BYTES = {
    "bool": 1,
    **dict.fromkeys(("uint8", "int8", "quint8", "qint8"), 1),
    **dict.fromkeys(
        (f"float8_{kind}" for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu")), 1
    ),
    **dict.fromkeys(("uint16", "int16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("uint32", "int32", "float32", "complex32", "qint32"), 4),
    **dict.fromkeys(("uint64", "int64", "float64", "complex64"), 8),
    "complex128": 16,
}


class RowValues:
    """Columns of (n,) values; each is made when it is first asked for."""

    def __init__(self, table: RowTable) -> None:
        self.table = table
        self.sums = SubtreeSums(table)

    @cached_property
    def is_tensor(self) -> Mask:
        """Rows with a shape and data of their own."""
        mask: Mask = (self.table.flags & Flag.TENSOR) != 0
        return mask

    @cached_property
    def sums_up(self) -> Mask:
        """Rows that speak of all below them."""
        table = self.table
        has_rows_below = table.end > np.arange(1, len(table) + 1)
        mask: Mask = ~self.is_tensor & ((table.role == Role.MODULE) | has_rows_below)
        return mask

    @cached_property
    def elements(self) -> Int64:
        """Elements of a tensor, or of all parameters below; of all tensors in a checkpoint."""
        table = self.table
        running = np.concatenate(([0], np.cumsum(table.count)))
        groups = running[table.end] - running[:-1]
        below = np.where(table.role == Role.GROUP, groups, self.sums.every("parameters"))
        return np.where(self.is_tensor, table.count, below)

    @cached_property
    def trainable(self) -> Int64:
        """Those elements of parameters that require a gradient."""
        table = self.table
        trains = (table.flags & Flag.REQUIRES_GRAD) != 0
        own = np.where(trains & (table.role == Role.PARAMETER), table.count, 0)
        return np.where(self.is_tensor, own, self.sums.every("trainable"))

    @cached_property
    def bytes(self) -> Int64:
        """Bytes stored by a tensor, or by all registered ones at or below."""
        return np.where(self.is_tensor, self.table.bytes, self.sums.every("bytes"))

    @cached_property
    def has_logical(self) -> Mask:
        """Rows whose logical bytes are known: all tensors at or below have a known type."""
        unknown = np.concatenate(([0], np.cumsum(self.is_tensor & (self._item_bytes < 0))))
        none_unknown: Mask = unknown[self.table.end] == unknown[:-1]
        return none_unknown & (self.is_tensor | self.sums_up)

    @cached_property
    def logical(self) -> Int64:
        """Elements times the size of one, of a tensor or of all registered ones at or below."""
        own = self.table.count * np.maximum(self._item_bytes, 0)
        return np.where(self.is_tensor, own, self.sums.every_plain(own))

    @cached_property
    def _item_bytes(self) -> Int64:
        """Bytes of one element; -1 where that is not known."""
        sizes = [ITEM_BYTES.get(dtype, -1) for dtype in self.table.dtypes]
        return np.asarray([*sizes, -1], np.int64)[self.table.dtype_index]

    @cached_property
    def nearest_module(self) -> Int32:
        """Position of the module that a row is or belongs to; -1 where there is none."""
        table = self.table
        here = np.arange(len(table), dtype=np.int32)
        above = np.where(table.role == Role.MODULE, here, table.parent)
        while True:  # each turn doubles how far is looked
            further = np.where(above < 0, -1, above[above])
            if np.array_equal(further, above):
                return above.astype(np.int32)
            above = further
