"""Indexes of a tree by arithmetic over arrays.

An index carries the id of its row and positions are looked up in arrays, so that a hundred
thousand rows need no objects, and a change of some rows leaves the indexes of all others valid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex

from inspector_app.gui.models.columns import Column
from inspector_app.gui.models.layout import Layout
from inspector_app.protocol.table import RowTable

Index = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()
_COLUMNS = len(Column)


class TreeIndex(QAbstractItemModel):
    """Where rows are; what they say is told by whoever derives from it.

    Views ask for one row at a time, so positions are read from memoryviews, which give plain
    numbers.  ``flags`` stay Qt's own: all rows can be selected.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ids = self._parents = self._places = np.empty(0, np.int32).data
        self._layout: Layout

    def _place(self, table: RowTable, layout: Layout) -> None:
        """Take the rows of a table, laid out."""
        places = np.full(int(table.ids.max(initial=-1)) + 1, -1, np.int32)
        places[table.ids] = np.arange(len(table), dtype=np.int32)
        self._ids = np.ascontiguousarray(table.ids).data
        self._parents = np.ascontiguousarray(table.parent).data
        self._places = places.data  # position by id
        self._layout = layout

    def row_id(self, index: Index) -> int:
        """Id of the row an index stands for; -1 for none."""
        return int(index.internalId()) if index.isValid() else -1

    def index_of(self, row_id: int, column: int = 0) -> QModelIndex:
        """Index of a row; invalid where the row is gone or not shown."""
        position = self._places[row_id] if 0 <= row_id < len(self._places) else -1
        if position < 0 or not self._layout.shown[position]:
            return QModelIndex()
        return self._index(position, column)

    def _index(self, position: int, column: int = 0) -> QModelIndex:
        return self.createIndex(self._layout.rank(position), column, self._ids[position])

    def _position(self, index: Index) -> int:
        return self._places[index.internalId()]

    def index(self, row: int, column: int, parent: Index = NOWHERE) -> QModelIndex:
        """Index of a cell; invalid outside of the tree."""
        if not 0 <= column < _COLUMNS:
            return QModelIndex()
        if parent.isValid():
            if parent.column():
                return QModelIndex()
            position = self._layout.child(self._places[parent.internalId()], row)
        else:
            position = 0 if row == 0 and len(self._ids) else -1
        if position < 0:
            return QModelIndex()
        return self.createIndex(row, column, self._ids[position])

    def parent(self, index: Index | None = None) -> Any:
        """Index of the row above; without an index, the QObject that owns the model."""
        if index is None:
            return super().parent()
        if not index.isValid():
            return QModelIndex()
        above = self._parents[self._places[index.internalId()]]
        return self._index(above) if above >= 0 else QModelIndex()

    def sibling(self, row: int, column: int, index: Index) -> QModelIndex:
        """Index of another cell; of the same row without a look at the row above."""
        if index.isValid() and row == index.row():
            if not 0 <= column < _COLUMNS:
                return QModelIndex()
            return self.createIndex(row, column, index.internalId())
        return super().sibling(row, column, index)

    def rowCount(self, parent: Index = NOWHERE) -> int:
        """Rows below; only the first column has any."""
        if not parent.isValid():
            return min(len(self._ids), 1)
        return 0 if parent.column() else self._layout.count(self._places[parent.internalId()])

    def hasChildren(self, parent: Index = NOWHERE) -> bool:
        """Whether rows stand below."""
        return self.rowCount(parent) > 0

    def columnCount(self, parent: Index = NOWHERE) -> int:
        """The same everywhere."""
        return _COLUMNS
