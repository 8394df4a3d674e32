"""Rows of the open target as a Qt tree, straight from the received arrays.

An index carries the id of its row and positions are looked up in arrays, so that a hundred
thousand rows need no objects, and a change of some rows leaves the indexes of all others valid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import (
    QAbstractItemModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
)

from inspector_app.gui.models.cells import HEADERS, Cells, Column
from inspector_app.gui.models.layout import (
    Layout,
    Mask,
    topmost,
    with_ancestors,
    with_subtrees,
)
from inspector_app.protocol import changes
from inspector_app.protocol.changes import RowsChange
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import RowTable, pack_names
from widgets.tree_view import TreeRole

Index = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()

MOST_GROUPS = 64  # of neighbours told of one by one; beyond, one signal that means everything
MOST_WORK = 2_000_000  # rows laid out again while groups come and go, likewise

_NUMBERS = (Column.PARAMETERS, Column.BYTES)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class RowTreeModel(QAbstractItemModel):
    """The tree of one target; the root is a row of its own, named by the title."""

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
        if not self._filter:
            return []
        parents = self.table.parent
        own = self._hits & ~np.where(parents >= 0, self._hits[parents], False)
        return list(self.table.ids[own].tolist())

    def set_table(self, table: RowTable, title: str) -> None:
        """Show another target."""
        self.beginResetModel()
        self._watched = frozenset()
        self._install(table, title)
        self.endResetModel()

    def _install(self, table: RowTable, title: str) -> None:
        self._cells = Cells(table, title)
        self._paths: list[str] = []
        self._hits, shown = self._search(table)
        self._layout = Layout(table, shown)

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
        hits, shown = self._search(self.table)
        stayed = np.zeros(len(self.table), bool)
        self._become(self._cells, hits, shown, stayed, stayed)
        self._tell_changed(np.ones(len(self.table), bool))  # what is marked in the names

    def _search(self, table: RowTable) -> tuple[Mask, Mask]:
        """Rows whose path holds the filter, and rows to show."""
        if not self._filter:
            return np.zeros(len(table), bool), np.ones(len(table), bool)
        if not self._paths:
            self._paths = [path.lower() for path in table.paths]
        wanted = self._filter
        hits = np.fromiter((wanted in path for path in self._paths), bool, len(table))
        shown = with_ancestors(table, hits)
        shown[:1] = True
        return hits, shown

    # -- changes -----------------------------------------------------------------------------------

    def apply_change(self, change: RowsChange) -> None:
        """Take over rows that changed, came and went; raises KeyError where it knows them not."""
        if change.empty:
            return
        old = self.table
        cells = Cells(changes.apply(old, change), self.title)
        if change.structural:
            gone = np.isin(old.ids, change.removed)
            came = np.zeros(len(cells.table), bool)
            came[change.inserted_at] = True
            self._paths = []
            hits, shown = self._search(cells.table)
            self._become(cells, hits, shown, gone, came)
            touched = came
            touched[np.isin(cells.table.ids, old.ids[old.parent[gone]])] = True
        else:
            self._cells = cells
            touched = np.zeros(len(cells.table), bool)
        touched[self.table.positions(change.changed.ids)] = True
        self._tell_changed(with_ancestors(self.table, touched))

    def _become(self, cells: Cells, hits: Mask, shown: Mask, gone: Mask, came: Mask) -> None:
        """Show other rows: ``gone`` of the old table and ``came`` of the new one did not stay."""
        old, new = self._cells.table, cells.table
        before = self._layout.shown
        kept = np.isin(old.ids, new.ids[shown & ~came])
        leaving = topmost(old, before & (gone | ~kept))
        known = np.isin(new.ids, old.ids[before & ~gone])
        entering = topmost(new, shown & (came | ~known))
        target = Layout(new, shown)
        removals, insertions = self._layout.groups(leaving), target.groups(entering)
        steps = len(removals) + len(insertions)
        if steps > MOST_GROUPS or steps * len(new) > MOST_WORK or not len(old) or leaving[0]:
            self._become_at_once(cells, hits, target)
            return
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
        self._cells, self._hits, self._layout = cells, hits, Layout(new, mask)
        for parent, first, last in insertions:
            start, stop = target.child(parent, first), target.child(parent, last)
            self.beginInsertRows(self._index(parent), first, last)
            mask = self._layout.shown.copy()
            rows = slice(start, int(new.end[stop]))
            mask[rows] = shown[rows]
            self._layout = Layout(new, mask)
            self.endInsertRows()

    def _become_at_once(self, cells: Cells, hits: Mask, target: Layout) -> None:
        """Show other rows in one step; views keep what is selected and expanded of those left."""
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        self._cells, self._hits, self._layout = cells, hits, target
        moved = [self._moved(index) for index in held]
        self.changePersistentIndexList(held, moved)
        self.layoutChanged.emit()

    def _moved(self, index: QModelIndex) -> QModelIndex:
        return self.index_of(index.internalId(), index.column())

    def _tell_changed(self, touched: Mask) -> None:
        """Announce new values."""
        groups = self._layout.groups(touched)
        if len(groups) > MOST_GROUPS:
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
        try:
            position = self.table.position(row_id)
        except KeyError:
            return QModelIndex()
        return self._index(position, column) if self._layout.shown[position] else QModelIndex()

    def _index(self, position: int, column: int = 0) -> QModelIndex:
        row_id = int(self.table.ids[position])
        return self.createIndex(self._layout.rank(position), column, row_id)

    def _position(self, index: Index) -> int:
        return self.table.position(index.internalId())

    def index(self, row: int, column: int, parent: Index = NOWHERE) -> QModelIndex:
        """Index of a cell; invalid outside of the tree."""
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        position = self._layout.child(self._position(parent), row) if parent.isValid() else 0
        return self.createIndex(row, column, int(self.table.ids[position]))

    def parent(self, index: Index | None = None) -> Any:
        """Index of the row above; without an index, the QObject that owns the model."""
        if index is None:
            return super().parent()
        if not index.isValid():
            return QModelIndex()
        above = int(self.table.parent[self._position(index)])
        return self._index(above) if above >= 0 else QModelIndex()

    def rowCount(self, parent: Index = NOWHERE) -> int:
        """Rows below; only the first column has any."""
        if not parent.isValid():
            return min(len(self.table), 1)
        return self._layout.count(self._position(parent)) if parent.column() == 0 else 0

    def hasChildren(self, parent: Index = NOWHERE) -> bool:
        """Whether rows stand below."""
        return self.rowCount(parent) > 0

    def columnCount(self, parent: Index = NOWHERE) -> int:
        """The same everywhere."""
        return len(Column)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """All rows can be selected."""
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

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
