"""What the cells of the tree say: texts, badges and tooltips of one row of a table."""

from __future__ import annotations

from enum import IntEnum
from functools import cached_property

import numpy as np
from PySide6.QtCore import Qt

from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Int64, Role, RowTable
from widgets.badges import Badge
from widgets.numbers import bytes_text, count_text


class Column(IntEnum):
    """Columns of the tree."""

    NAME = 0
    CLASS = 1
    SHAPE = 2
    TYPE = 3
    DEVICE = 4
    PARAMETERS = 5
    BYTES = 6


HEADERS = {
    Column.NAME: ("Name", "Name of the row as its owner knows it"),
    Column.CLASS: ("Class", "Class of the object"),
    Column.SHAPE: ("Shape", "Logical shape of a tensor"),
    Column.TYPE: ("Type", "Data type of a tensor, or of all tensors below"),
    Column.DEVICE: ("Device", "Where a tensor is stored, or all tensors below"),
    Column.PARAMETERS: (
        "Parameters",
        "Elements of a tensor, or of all parameters below; tied ones count once",
    ),
    Column.BYTES: ("Bytes", "Bytes stored by a tensor, or by all below; tied ones count once"),
}

_TENSOR = int(Flag.TENSOR)  # plain numbers: every cell that is painted asks
_MODULE = int(Role.MODULE)

_BADGES = {
    Role.MODULE: Badge("M", "module"),
    Role.PARAMETER: Badge("P", "parameter"),
    Role.ATTRIBUTE: Badge("A", "attribute"),
    Role.TENSOR: Badge("T", "tensor"),
    Role.GROUP: Badge("G", "group"),
}
_SAVED_BUFFER = Badge("B", "buffer")
_UNSAVED_BUFFER = Badge("B", "buffer", hollow=True)
_UNREGISTERED = Badge("A", "attribute", warning=True)

_WORDS = (
    (Flag.LAZY, "its shape is not known before the first forward"),
    (Flag.META, "on the meta device: it has no data"),
    (Flag.REPEATED, "the same object stands earlier in the tree as well"),
    (Flag.REFERENCE, "stands inside itself, so it is not expanded again"),
)


class Cells:
    """Texts of a table's rows by position; all are made when they are asked for."""

    def __init__(self, table: RowTable, title: str) -> None:
        self.table = table
        self.title = title
        self.sums = SubtreeSums(table)
        self._texts: dict[tuple[int, int], str] = {}

    def is_tensor(self, position: int) -> bool:
        """Whether the row has a shape and data of its own."""
        return bool(int(self.table.flags[position]) & _TENSOR)

    def sums_up(self, position: int) -> bool:
        """Whether the row speaks of all below it."""
        table = self.table
        return not self.is_tensor(position) and (
            int(table.role[position]) == _MODULE or int(table.end[position]) > position + 1
        )

    def name(self, position: int) -> str:
        """Name of the row; of the root, the title."""
        return self.table.name(position) if position else self.title

    def text(self, position: int, column: int) -> str:
        """What a cell shows; made once, since a cell is painted again and again."""
        text = self._texts.get((position, column))
        if text is None:
            text = self._texts[position, column] = self._make_text(position, column)
        return text

    def _make_text(self, position: int, column: int) -> str:
        table = self.table
        if column == Column.NAME:
            return self.name(position)
        if column == Column.CLASS:
            return table.class_name(position)
        if self.is_tensor(position):
            return self._tensor_text(position, column)
        if not self.sums_up(position):
            return ""
        if column == Column.TYPE:
            return ", ".join(self.sums.dtypes(position))
        if column == Column.DEVICE:
            return ", ".join(self.sums.devices(position))
        if column == Column.PARAMETERS:
            return count_text(self.elements(position))
        if column == Column.BYTES:
            return bytes_text(self.sums.bytes(position))
        return ""

    def _tensor_text(self, position: int, column: int) -> str:
        table = self.table
        if column == Column.SHAPE:
            return shape_text(table.shape(position))
        if column == Column.TYPE:
            return table.dtype(position) or ""
        if column == Column.DEVICE:
            return table.device(position) or ""
        if table.has(position, Flag.LAZY):
            return "not known yet"
        if column == Column.PARAMETERS:
            return count_text(int(table.count[position]))
        return bytes_text(int(table.bytes[position]))

    def elements(self, position: int) -> int:
        """Elements of all parameters at or below a row; of all tensors in a checkpoint."""
        if self.table.role[position] == Role.GROUP:
            running = self._running_count
            return int(running[self.table.end[position]] - running[position])
        return self.sums.parameters(position)

    @cached_property
    def _running_count(self) -> Int64:
        return np.concatenate(([0], np.cumsum(self.table.count)))

    def freeze(self, position: int) -> Qt.CheckState | None:
        """The freeze box: checked where all parameters at or below are frozen; None: no box."""
        try:
            state = self.sums.freeze_state(position)
        except LookupError:
            return None
        if state is None:
            return Qt.CheckState.PartiallyChecked
        return Qt.CheckState.Checked if state else Qt.CheckState.Unchecked

    def badge(self, position: int) -> Badge:
        """How the row is held."""
        table = self.table
        role = Role(int(table.role[position]))
        if role == Role.BUFFER:
            return _SAVED_BUFFER if table.has(position, Flag.PERSISTENT) else _UNSAVED_BUFFER
        if role == Role.ATTRIBUTE and self._holds_unregistered(position):
            return _UNREGISTERED
        return _BADGES[role]

    def _holds_unregistered(self, position: int) -> bool:
        running = self._running_unregistered
        return bool(running[self.table.end[position]] > running[position])

    @cached_property
    def _running_unregistered(self) -> Int64:
        """Running number of tensors that no optimizer sees, ``.to()`` leaves and nothing saves."""
        flags = self.table.flags
        registered = Flag.IN_PARAMETERS | Flag.MOVED | Flag.SAVED
        lost = ((flags & Flag.TENSOR) != 0) & ((flags & registered) == 0)
        return np.concatenate(([0], np.cumsum(lost)))

    def tied(self, position: int) -> str | None:
        """Path of another row with the same memory; None where there is none."""
        others = self.table.tied_to(position)
        return self.table.path(int(others[0])) or self.title if len(others) else None

    def italic(self, position: int) -> bool:
        """Whether there is no data behind the row (yet)."""
        return self.table.has(position, Flag.META | Flag.LAZY)

    def tooltip(self, position: int, column: int) -> str:
        """The exact value of a cell; of the name, the path and what is particular about the row."""
        table = self.table
        if column == Column.NAME:
            lines = [table.path(position) or self.title, table.class_name(position)]
            lines += [words for flag, words in _WORDS if table.has(position, flag)]
            lines += [f"tied: {table.path(int(other))}" for other in table.tied_to(position)[:8]]
            return "\n".join(lines)
        if column == Column.PARAMETERS and self.sums_up(position):
            if table.role[position] == Role.GROUP:
                return f"{self.elements(position):,} elements"
            trainable = self.sums.trainable(position)
            return f"{self.elements(position):,} parameters, {trainable:,} of them trainable"
        if column == Column.BYTES and self.text(position, column):
            tensor = self.is_tensor(position)
            size = int(table.bytes[position]) if tensor else self.sums.bytes(position)
            return f"{size:,} bytes"
        return self.text(position, column)


def shape_text(shape: tuple[int, ...] | None) -> str:
    """Extents as "10 × 8"; "scalar" without any, "not known yet" for a lazy tensor."""
    if shape is None:
        return "not known yet"
    return " × ".join(str(extent) for extent in shape) or "scalar"
