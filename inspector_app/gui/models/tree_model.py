"""Rows of the open target as a Qt tree, straight from the received arrays.

An index carries the id of its row and positions are looked up in arrays, so that a hundred
thousand rows need no objects, and a change of some rows leaves the indexes of all others valid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import (
    SIGNAL,
    QAbstractItemModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from inspector_app.gui.models.cells import HEADERS, Cells, Column
from inspector_app.gui.models.layout import (
    Brothers,
    Layout,
    Mask,
    topmost,
    with_ancestors,
    with_subtrees,
)
from inspector_app.gui.models.search import RowSearch
from inspector_app.protocol import changes
from inspector_app.protocol.changes import RowsChange
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import RowTable, pack_names
from widgets.tree_view import TreeRole

Index = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()

MOST_GROUPS = 64  # of neighbours told of one by one; beyond, one signal that means everything
MOST_WORK = 2_000_000  # rows laid out again while groups come and go, likewise

_VALUES_CHANGED = SIGNAL("values_changed()")
_NUMBERS = (Column.PARAMETERS, Column.BYTES)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_FLAGS = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class RowTreeModel(QAbstractItemModel):
    """The tree of one target; the root is a row of its own, named by the title.

    ``values_changed`` stands for thousands of dataChanged signals.  A view that repaints itself
    on it spares laying out all its rows again, which takes seconds where all are expanded; while
    nothing is connected, layoutChanged tells any view.
    """

    values_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watched: frozenset[int] = frozenset()
        self._filter = ""
        self._install(_no_rows(), "")

    # -- contents ----------------------------------------------------------------------------------

    @property
    def table(self) -> RowTable:
        """All rows, shown or not."""
        return self._cells.table

    @property
    def sums(self) -> SubtreeSums:
        """Sums over subtrees of the table as it is now."""
        return self._cells.sums

    @property
    def title(self) -> str:
        """Name of the root."""
        return self._cells.title

    @property
    def filter(self) -> str:
        """What rows are searched for; "" shows all."""
        return self._filter

    @property
    def shown_rows(self) -> int:
        """Rows the filter leaves."""
        return int(np.count_nonzero(self._layout.shown))

    def matches(self) -> list[int]:
        """Ids of the rows whose own name the filter found, in the order of the tree."""
        return list(self.table.ids[self._hits].tolist())

    def set_table(self, table: RowTable, title: str) -> None:
        """Show another target."""
        self.beginResetModel()
        self._watched = frozenset()
        self._install(table, title)
        self.endResetModel()

    def _install(self, table: RowTable, title: str) -> None:
        self._set_cells(Cells(table, title))
        self._search = RowSearch(table)
        self._hits = self._search.find(self._filter)
        self._layout = Layout(table, self._wanted(table, self._hits))

    def _set_cells(self, cells: Cells) -> None:
        self._cells = cells
        table = cells.table
        places = np.full(int(table.ids.max(initial=-1)) + 1, -1, np.int32)
        places[table.ids] = np.arange(len(table), dtype=np.int32)
        self._ids: list[int] = table.ids.tolist()
        self._parents: list[int] = table.parent.tolist()
        self._places: list[int] = places.tolist()  # position by id

    def set_watched(self, row_ids: list[int]) -> None:
        """Mark the rows that probes watch."""
        before, self._watched = self._watched, frozenset(row_ids)
        for row_id in before ^ self._watched:
            index = self.index_of(row_id)
            if index.isValid():
                self.dataChanged.emit(index, index, [TreeRole.LIVE])

    # -- filter ------------------------------------------------------------------------------------

    def set_filter(self, text: str) -> None:
        """Show only rows whose path holds ``text`` (in any case), those below and those above."""
        text = text.strip().lower()
        if text == self._filter:
            return
        self._filter = text
        before, hits = self._hits, self._search.find(text)
        stayed = np.zeros(len(self.table), bool)
        if self._become(self._cells, hits, stayed, stayed):
            self._tell_changed(before | hits)  # what is marked in the names

    def _wanted(self, table: RowTable, hits: Mask) -> Mask:
        """Rows to show: what was found, all below and above it, and the root."""
        if not self._filter:
            return np.ones(len(table), bool)
        shown = with_ancestors(table, hits) | with_subtrees(table, hits)
        shown[:1] = True
        return shown

    # -- changes -----------------------------------------------------------------------------------

    def apply_change(self, change: RowsChange) -> None:
        """Take over rows that changed, came and went; raises KeyError where it knows them not."""
        if change.empty:
            return
        old = self.table
        cells = Cells(changes.apply(old, change), self.title)
        new = cells.table
        touched = np.zeros(len(new), bool)
        touched[new.positions(change.changed.ids)] = True
        one_by_one = True
        if not change.structural:
            self._cells = cells
        elif old.ids[0] in change.removed:
            self.set_table(new, self.title)
            return
        else:
            gone = np.isin(old.ids, change.removed)
            came = np.zeros(len(new), bool)
            came[change.inserted_at] = True
            touched |= came | np.isin(new.ids, old.ids[old.parent[gone]])  # sums of their parents
            self._search = RowSearch(new)
            one_by_one = self._become(cells, self._search.find(self._filter), gone, came)
        if one_by_one:
            self._tell_changed(with_ancestors(new, touched))

    def _become(self, cells: Cells, hits: Mask, gone: Mask, came: Mask) -> bool:
        """Show other rows: ``gone`` of the old table and ``came`` of the new one did not stay.

        Returns whether views were told group by group, so that they know nothing of new values.
        """
        old, new = self._cells.table, cells.table
        before, shown = self._layout.shown, self._wanted(new, hits)
        leaving = topmost(old, before & (gone | ~np.isin(old.ids, new.ids[shown & ~came])))
        entering = topmost(new, shown & (came | ~np.isin(new.ids, old.ids[before & ~gone])))
        target = Layout(new, shown)
        removals = self._layout.groups(leaving, MOST_GROUPS)
        insertions = target.groups(entering, MOST_GROUPS)
        if removals is None or insertions is None or not self._worth(removals, insertions):
            self._become_at_once(cells, hits, target)
            return False
        # From the last to the first, so that what is still to go keeps its place.
        for parent, first, last in reversed(removals):
            start, stop = self._layout.child(parent, first), self._layout.child(parent, last)
            self.beginRemoveRows(self._index(parent), first, last)
            mask = self._layout.shown.copy()
            mask[start : old.end[stop]] = False
            self._layout = Layout(old, mask)
            self.endRemoveRows()
        # The same rows in the new table, which nobody can tell from the old one.
        mask = shown & ~with_subtrees(new, entering)
        self._set_cells(cells)
        self._hits, self._layout = hits, Layout(new, mask)
        for parent, first, last in insertions:
            start, stop = target.child(parent, first), target.child(parent, last)
            self.beginInsertRows(self._index(parent), first, last)
            mask = self._layout.shown.copy()
            rows = slice(start, int(new.end[stop]))
            mask[rows] = shown[rows]
            self._layout = Layout(new, mask)
            self.endInsertRows()
        return True

    def _worth(self, removals: list[Brothers], insertions: list[Brothers]) -> bool:
        """Whether telling of rows group by group costs less than laying all out again."""
        steps = len(removals) + len(insertions)
        return steps * len(self.table) <= MOST_WORK

    def _become_at_once(self, cells: Cells, hits: Mask, target: Layout) -> None:
        """Show other rows in one step; views keep what is selected and expanded of those left."""
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        self._set_cells(cells)
        self._hits, self._layout = hits, target
        moved = [self._moved(index) for index in held]
        self.changePersistentIndexList(held, moved)
        self.layoutChanged.emit()

    def _moved(self, index: QModelIndex) -> QModelIndex:
        return self.index_of(index.internalId(), index.column())

    def _tell_changed(self, touched: Mask) -> None:
        """Announce new values."""
        groups = self._layout.groups(touched, MOST_GROUPS)
        if groups is None:
            if self.receivers(_VALUES_CHANGED):
                self.values_changed.emit()
            else:
                self.layoutAboutToBeChanged.emit()
                self.layoutChanged.emit()
            return
        last_column = len(Column) - 1
        if len(touched) and touched[0]:
            self.dataChanged.emit(self._index(0), self._index(0, last_column))
        for parent, first, last in groups:
            above = self._index(parent)
            self.dataChanged.emit(self.index(first, 0, above), self.index(last, last_column, above))

    # -- indexes -----------------------------------------------------------------------------------

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
        if not 0 <= column < len(Column) or parent.column() > 0:
            return QModelIndex()
        if parent.isValid():
            position = self._layout.child(self._position(parent), row)
        else:
            position = 0 if row == 0 and self._ids else -1
        return (
            self.createIndex(row, column, self._ids[position]) if position >= 0 else QModelIndex()
        )

    def parent(self, index: Index | None = None) -> Any:
        """Index of the row above; without an index, the QObject that owns the model."""
        if index is None:
            return super().parent()
        if not index.isValid():
            return QModelIndex()
        above = self._parents[self._position(index)]
        return self._index(above) if above >= 0 else QModelIndex()

    def rowCount(self, parent: Index = NOWHERE) -> int:
        """Rows below; only the first column has any."""
        if not parent.isValid():
            return min(len(self._ids), 1)
        return self._layout.count(self._position(parent)) if parent.column() == 0 else 0

    def hasChildren(self, parent: Index = NOWHERE) -> bool:
        """Whether rows stand below."""
        return self.rowCount(parent) > 0

    def columnCount(self, parent: Index = NOWHERE) -> int:
        """The same everywhere."""
        return len(Column)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """All rows can be selected."""
        return _FLAGS if index.isValid() else Qt.ItemFlag.NoItemFlags

    # -- cells -------------------------------------------------------------------------------------

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Names of the columns."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        name, meaning = HEADERS[Column(section)]
        if role == Qt.ItemDataRole.DisplayRole:
            return name
        if role == Qt.ItemDataRole.ToolTipRole:
            return meaning
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if section in _NUMBERS else _LEFT
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows; made when asked for, since most are never seen."""
        if not index.isValid():
            return None
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cells.text(self._position(index), column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if column in _NUMBERS else _LEFT
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._cells.tooltip(self._position(index), column)
        if column == Column.NAME and role > Qt.ItemDataRole.UserRole:
            return self._name_data(index, role)
        return None

    def _name_data(self, index: Index, role: int) -> Any:
        """What the tree draws around a name."""
        if role == TreeRole.ROW_ID:
            return index.internalId()
        if role == TreeRole.LIVE:
            return index.internalId() in self._watched
        position = self._position(index)
        if role == TreeRole.FREEZE:
            return self._cells.freeze(position)
        if role == TreeRole.BADGES:
            return (self._cells.badge(position),)
        if role == TreeRole.FROZEN:
            return self._cells.freeze(position) == Qt.CheckState.Checked
        if role == TreeRole.TIED:
            return self._cells.tied(position)
        if role == TreeRole.ITALIC:
            return self._cells.italic(position)
        if role == TreeRole.MATCH:
            return self._match(position)
        return None

    def _match(self, position: int) -> tuple[int, int] | None:
        """(start, length) of what the filter found in the name itself."""
        if not self._filter or not position:
            return None
        start = self._cells.name(position).lower().find(self._filter)
        return (start, len(self._filter)) if start >= 0 else None


def _no_rows() -> RowTable:
    """The table before anything is open."""
    nothing = np.empty(0, np.int32)
    name_bytes, name_offsets = pack_names([])
    return RowTable(
        ids=nothing,
        parent=nothing,
        end=nothing,
        role=np.empty(0, np.uint8),
        flags=np.empty(0, np.uint32),
        class_index=nothing,
        shape_index=nothing,
        dtype_index=np.empty(0, np.int16),
        device_index=np.empty(0, np.int16),
        count=np.empty(0, np.int64),
        bytes=np.empty(0, np.int64),
        tie=nothing,
        name_bytes=name_bytes,
        name_offsets=name_offsets,
        classes=[],
        shapes=[],
        dtypes=[],
        devices=[],
    )
