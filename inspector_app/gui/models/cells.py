"""What the cells of the tree say: texts, tooltips and looks of one row of a table."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from PySide6.QtCore import Qt

from inspector_app.gui.models.columns import Column
from inspector_app.gui.models.marks import TIED_ICON, marks_of
from inspector_app.gui.models.row_values import RowValues
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import Flag, Int64, Role, RowTable
from widgets.badges import Badge
from widgets.numbers import bytes_text, count_text
from widgets.tree_row import RowLook

_TENSOR = int(Flag.TENSOR)  # plain numbers: every cell that is painted asks
_TRAINING = int(Flag.TRAINING)
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
UNKNOWN = "not known yet"  # of a lazy tensor
_MOST_TIES = 8  # named in a tooltip


class Cells:
    """Texts of a table's rows by position; all are made when they are asked for."""

    def __init__(self, table: RowTable, title: str) -> None:
        self.table = table
        self.title = title
        self.values = RowValues(table)
        self._texts: dict[tuple[int, int], str] = {}
        self._looks: dict[int, RowLook] = {}

    @property
    def sums(self) -> SubtreeSums:
        """Sums over subtrees of the table."""
        return self.values.sums

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

    # -- texts -------------------------------------------------------------------------------------

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
        if column == Column.MODE:
            return self.mode(position)
        if column == Column.HELD:
            return Role(int(table.role[position])).word
        if column == Column.MARKS:
            return ", ".join(self._mark_words(position))
        if self.is_tensor(position):
            return self._tensor_text(position, column)
        return self._sum_text(position, column) if self.sums_up(position) else ""

    def _tensor_text(self, position: int, column: int) -> str:
        table = self.table
        if column == Column.SHAPE:
            return shape_text(table.shape(position))
        if column == Column.TYPE:
            return table.dtype(position) or ""
        if column == Column.DEVICE:
            return table.device(position) or ""
        if column == Column.TRAINABLE and table.role[position] != Role.PARAMETER:
            return ""
        return UNKNOWN if self._is_unknown(position) else self._number(position, column)

    def _is_unknown(self, position: int) -> bool:
        """Whether a tensor has no shape yet."""
        return self.is_tensor(position) and self.table.has(position, Flag.LAZY)

    def _sum_text(self, position: int, column: int) -> str:
        if column == Column.TYPE:
            return ", ".join(self.sums.dtypes(position))
        if column == Column.DEVICE:
            return ", ".join(self.sums.devices(position))
        return self._number(position, column)

    def _number(self, position: int, column: int) -> str:
        number = self.number(position, column)
        if number is None:
            return ""
        return bytes_text(number) if column in _BYTES else count_text(number)

    def number(self, position: int, column: int) -> int | None:
        """The number in a cell; None where it holds none."""
        values = self.values
        if column == Column.PARAMETERS:
            return int(values.elements[position])
        if column == Column.TRAINABLE:
            return int(values.trainable[position])
        if column == Column.BYTES:
            return int(values.bytes[position])
        if column == Column.LOGICAL and values.has_logical[position]:
            return int(values.logical[position])
        return None

    def exact(self, position: int, column: int) -> str:
        """A cell for other programs: numbers in plain digits, shapes as Python writes them."""
        text = self.text(position, column)
        if not text:
            return ""
        if column == Column.SHAPE:
            shape = self.table.shape(position)
            return text if shape is None else str(shape)
        number = self.number(position, column)
        return text if number is None or self._is_unknown(position) else str(number)

    def mode(self, position: int) -> str:
        """Of a module "train" or "eval"; else ""."""
        if int(self.table.role[position]) != _MODULE:
            return ""
        return "train" if int(self.table.flags[position]) & _TRAINING else "eval"

    def _mark_words(self, position: int) -> list[str]:
        tied = ["tied"] if self.table.tie[position] >= 0 else []
        return tied + [mark.word for mark in marks_of(self.table, position)]

    # -- looks -------------------------------------------------------------------------------------

    def look(self, position: int) -> RowLook:
        """How a row is drawn, but for what the filter and the probes say of it."""
        look = self._looks.get(position)
        if look is None:
            look = self._looks[position] = self._make_look(position)
        return look

    def _make_look(self, position: int) -> RowLook:
        freeze = self.freeze(position)
        icons = [mark.icon for mark in marks_of(self.table, position) if mark.icon]
        if self.table.tie[position] >= 0:
            icons.append(TIED_ICON)
        return RowLook(
            badges=(self.badge(position),),
            freeze=freeze,
            frozen=freeze == Qt.CheckState.Checked,
            italic=self.table.has(position, Flag.META | Flag.LAZY),
            marks=tuple(icons),
            note=self._changed_mode(position),
        )

    def _changed_mode(self, position: int) -> str:
        """The mode of a module where it is not what the one above says; train says nothing."""
        mode = self.mode(position)
        if not mode:
            return ""
        if not position:
            return mode if mode == "eval" else ""
        above = int(self.values.nearest_module[int(self.table.parent[position])])
        return mode if above >= 0 and self.mode(above) != mode else ""

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

    # -- tooltips ----------------------------------------------------------------------------------

    def tooltip(self, position: int, column: int) -> str:
        """The exact value of a cell; of the name, the path and what is particular about the row."""
        table = self.table
        if column == Column.NAME:
            lines = [table.path(position) or self.title, table.class_name(position)]
            lines += self._mark_sentences(position)
            return "\n".join(lines)
        if column == Column.MARKS:
            return "\n".join(self._mark_sentences(position))
        text = self.text(position, column)
        number = self.number(position, column)
        if not text or number is None or self._is_unknown(position):
            return text
        if column in _BYTES:
            return f"{number:,} bytes"
        if column == Column.PARAMETERS and self.sums_up(position):
            if table.role[position] == Role.GROUP:
                return f"{number:,} elements"
            return f"{number:,} parameters, {self.values.trainable[position]:,} of them trainable"
        return text

    def _mark_sentences(self, position: int) -> list[str]:
        table = self.table
        lines = [mark.sentence for mark in marks_of(table, position)]
        if self._changed_mode(position):
            lines.append(f"in {self.mode(position)} mode")
        others = table.tied_to(position)
        lines += [f"tied: {table.path(int(other))}" for other in others[:_MOST_TIES]]
        if len(others) > _MOST_TIES:
            lines.append(f"tied: {len(others) - _MOST_TIES:,} more")
        return lines


_BYTES = (Column.BYTES, Column.LOGICAL)


def shape_text(shape: tuple[int, ...] | None) -> str:
    """Extents as "10 × 8"; "scalar" without any, "not known yet" for a lazy tensor."""
    if shape is None:
        return UNKNOWN
    return " × ".join(str(extent) for extent in shape) or "scalar"
