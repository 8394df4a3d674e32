"""Rows of the open target as a Qt tree, straight from the received arrays."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np
from PySide6.QtCore import SIGNAL, QObject, Qt, Signal

from inspector_app.gui.filtering.problems import QueryError
from inspector_app.gui.filtering.query import Query
from inspector_app.gui.models.cells import Cells
from inspector_app.gui.models.columns import COLUMNS, NUMBERS, Column
from inspector_app.gui.models.layout import (
    Brothers,
    Layout,
    topmost,
    with_ancestors,
    with_subtrees,
)
from inspector_app.gui.models.row_values import Mask
from inspector_app.gui.models.sorting import Sorting
from inspector_app.gui.models.tree_index import Index, TreeIndex
from inspector_app.gui.models.tree_state import NO_QUERY, TreeState
from inspector_app.gui.models.watch_words import Levels, is_trouble, watch_text
from inspector_app.protocol import changes
from inspector_app.protocol.changes import RowsChange
from inspector_app.protocol.messages import ProbeState
from inspector_app.protocol.sums import SubtreeSums
from inspector_app.protocol.table import RowTable, pack_names
from widgets.tree_row import RowLook, TreeRole

MOST_GROUPS = 64  # of neighbours told of one by one; beyond, one signal that means everything
MOST_WORK = 1_000_000  # rows laid out again while groups come and go, likewise

_VALUES_CHANGED = SIGNAL("values_changed()")
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_LOOK, _ROW_ID = int(TreeRole.LOOK), int(TreeRole.ROW_ID)


class RowTreeModel(TreeIndex):
    """The tree of one target; the root is a row of its own, named by the title.

    ``values_changed`` stands for thousands of dataChanged signals.  A view that repaints itself
    on it spares laying out all its rows again, which takes seconds where all are expanded; while
    nothing is connected, layoutChanged tells any view.  ``matches_changed`` tells that an edit
    changed what the filter finds.
    """

    values_changed = Signal()
    matches_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watched: frozenset[int] = frozenset()
        self._notes: dict[int, str] = {}
        self._probes: dict[int, ProbeState] = {}
        self._levels: dict[int, Levels] = {}
        self._set_state(TreeState(Cells(_no_rows(), "")))

    # -- contents ----------------------------------------------------------------------------------

    @property
    def table(self) -> RowTable:
        """All rows, shown or not."""
        return self._state.table

    @property
    def cells(self) -> Cells:
        """Texts of all rows as they are now."""
        return self._state.cells

    @property
    def sums(self) -> SubtreeSums:
        """Sums over subtrees of the table as it is now."""
        return self._state.cells.sums

    @property
    def title(self) -> str:
        """Name of the root."""
        return self._state.cells.title

    @property
    def shown_rows(self) -> int:
        """Rows the filter leaves."""
        return int(np.count_nonzero(self._state.shown))

    def set_table(self, table: RowTable, title: str) -> None:
        """Show another target; a filter is dropped, the sorting stays."""
        self.beginResetModel()
        self._watched, self._notes = frozenset(), {}
        self._probes, self._levels = {}, {}
        self._set_state(TreeState(Cells(table, title), NO_QUERY, self._state.sorting))
        self.endResetModel()

    def _set_state(self, state: TreeState) -> None:
        self._state = state
        self._place(state.table, state.layout)

    def set_watched(self, row_ids: list[int]) -> None:
        """Mark the rows that probes watch."""
        before, self._watched = self._watched, frozenset(row_ids)
        self._tell_looks(before ^ self._watched)

    def set_probes(self, states: list[ProbeState]) -> None:
        """How the probes of the watched rows stand."""
        before, self._probes = self._probes, {state.row: state for state in states}
        rows = before.keys() | self._probes.keys()
        changed = {row for row in rows if before.get(row) != self._probes.get(row)}
        self._tell_looks({row for row in changed if _is_trouble(before.get(row)) != self._bad(row)})

    def _bad(self, row_id: int) -> bool:
        return _is_trouble(self._probes.get(row_id))

    def set_levels(self, levels: Mapping[int, Levels | None]) -> None:
        """What was measured last of some watched rows; who paints them sees to it by itself."""
        for row, level in levels.items():
            if level is None:
                self._levels.pop(row, None)
            else:
                self._levels[row] = level

    def set_notes(self, notes: dict[int, str]) -> None:
        """Say a word at the end of some rows, by their ids; {} takes all words away."""
        before, self._notes = self._notes, notes
        self._tell_looks(before.keys() | notes.keys())

    def _tell_looks(self, row_ids: Set[int]) -> None:
        """Announce that rows are drawn in another way."""
        known = [row for row in row_ids if 0 <= row < len(self._places) and self._places[row] >= 0]
        touched = np.zeros(len(self.table), bool)
        touched[[self._places[row] for row in known]] = True
        self._tell_changed(touched)

    # -- filter and order --------------------------------------------------------------------------

    def prepare(self) -> None:
        """Look at all names now, so that the first key of a filter need not wait for it."""
        _ = self._state.facts.names.lower, self._state.facts.paths.levels

    @property
    def query(self) -> Query:
        """What rows are searched for; false shows all."""
        return self._state.query

    def set_query(self, query: Query) -> None:
        """Show what a query finds, and all above it; raises QueryError and shows what it did."""
        state = self._state
        self._become_at_once(TreeState(state.cells, query, state.sorting, state))

    @property
    def match_count(self) -> int:
        """Rows that the filter asks for."""
        return len(self._state.hits_in_order)

    def matches(self, most: int | None = None) -> list[int]:
        """Ids of the rows that the filter asks for, from the top to the bottom of the tree."""
        return list(self.table.ids[self._state.hits_in_order[:most]].tolist())

    def next_match(self, row_id: int, step: int) -> int:
        """Id of the next match below (``step`` 1) or above (-1) a row, round the end; -1: none."""
        known = 0 <= row_id < len(self._places)
        position = self._state.next_hit(self._places[row_id] if known else -1, step)
        return self._ids[position] if position >= 0 else -1

    def in_order(self, positions: list[int]) -> list[int]:
        """Positions from the top to the bottom of the tree."""
        display = self._state.layout.display
        return sorted(positions, key=lambda position: int(display[position]))

    @property
    def sorting(self) -> Sorting | None:
        """How brothers are sorted; None for the order of the model."""
        return self._state.sorting

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort brothers by a column; -1 for the order of the model."""
        descending = order == Qt.SortOrder.DescendingOrder
        sorting = Sorting(Column(column), descending) if column >= 0 else None
        state = self._state
        if sorting != state.sorting:
            self._become_at_once(TreeState(state.cells, state.query, sorting, state))

    # -- changes -----------------------------------------------------------------------------------

    def apply_change(self, change: RowsChange) -> None:
        """Take over rows that changed, came and went; raises KeyError where it knows them not."""
        if change.empty:
            return
        before = self._state
        old = before.table
        cells = Cells(changes.apply(old, change), self.title)
        new = cells.table
        if change.structural and old.ids[0] in change.removed:
            self.set_table(new, self.title)
            self.matches_changed.emit()
            return
        state = self._changed_state(cells)
        touched = np.zeros(len(new), bool)
        touched[new.positions(change.changed.ids)] = True
        if change.structural:
            gone = np.isin(old.ids, change.removed)
            came = np.zeros(len(new), bool)
            came[change.inserted_at] = True
            touched |= came | np.isin(new.ids, old.ids[old.parent[gone]])  # sums of their parents
            told = self._become(state, gone, came)
        elif np.array_equal(before.shown, state.shown) and np.array_equal(
            before.order, state.order
        ):
            self._set_state(state)
            told = True
        else:
            self._become_at_once(state)
            told = False
        if told:
            self._tell_changed(with_ancestors(new, touched))
        if state.query or before.query:
            self.matches_changed.emit()

    def _changed_state(self, cells: Cells) -> TreeState:
        """With other cells; a filter that takes too long on them is dropped."""
        before = self._state
        try:
            return TreeState(cells, before.query, before.sorting, before)
        except QueryError:
            return TreeState(cells, NO_QUERY, before.sorting, before)

    def _become(self, state: TreeState, gone: Mask, came: Mask) -> bool:
        """Show other rows: ``gone`` of the old table and ``came`` of the new one did not stay.

        Returns whether views were told group by group, so that they know nothing of new values.
        """
        before, target = self._state, state.layout
        old, new = before.table, state.table
        stayed_old = np.isin(old.ids, new.ids[state.shown & ~came])
        stayed_new = np.isin(new.ids, old.ids[before.shown & ~gone])
        leaving = topmost(old, before.shown & (gone | ~stayed_old))
        entering = topmost(new, state.shown & (came | ~stayed_new))
        removals = before.layout.groups(leaving, MOST_GROUPS)
        insertions = target.groups(entering, MOST_GROUPS)
        if (
            removals is None
            or insertions is None
            or before.sorting is not None  # the same rows may stand in another order
            or not self._worth(removals, insertions)
        ):
            self._become_at_once(state)
            return False
        # From the last to the first, so that what is still to go keeps its place.
        for group in reversed(removals):
            self.beginRemoveRows(self._index(group.parent), group.first, group.last)
            mask = self._layout.shown & ~_subtrees(old, self._layout, group)
            self._layout = Layout(old, mask, before.order)
            self.endRemoveRows()
        # The same rows in the new table, which nobody can tell from the old one.
        mask = state.shown & ~with_subtrees(new, entering)
        self._set_state(state)
        self._layout = Layout(new, mask, state.order)
        for group in insertions:
            self.beginInsertRows(self._index(group.parent), group.first, group.last)
            mask = self._layout.shown | (_subtrees(new, target, group) & state.shown)
            self._layout = Layout(new, mask, state.order)
            self.endInsertRows()
        self._layout = target
        return True

    def _worth(self, removals: list[Brothers], insertions: list[Brothers]) -> bool:
        """Whether telling of rows group by group costs less than laying all out again."""
        steps = len(removals) + len(insertions)
        return steps * len(self.table) <= MOST_WORK

    def _become_at_once(self, state: TreeState) -> None:
        """Show other rows in one step; views keep what is selected and expanded of those left."""
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        self._set_state(state)
        moved = [self.index_of(index.internalId(), index.column()) for index in held]
        self.changePersistentIndexList(held, moved)
        self.layoutChanged.emit()

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

    # -- cells -------------------------------------------------------------------------------------

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Names of the columns."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        column = Column(section)
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[column].title
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{COLUMNS[column].meaning}\nClick to sort"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if column in NUMBERS else _LEFT
        return None

    def data(self, index: Index, role: int = _DISPLAY) -> Any:
        """What a cell shows; made when asked for, since most are never seen."""
        if not index.isValid():
            return None
        row_id = index.internalId()
        if role == _DISPLAY:
            return self._state.cells.text(self._places[row_id], index.column())
        if role == _LOOK:
            return self._look(row_id)
        if role == _ROW_ID:
            return row_id
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if index.column() in NUMBERS else _LEFT
        if role == Qt.ItemDataRole.ToolTipRole:
            text = self._state.cells.tooltip(self._places[row_id], index.column())
            watched = row_id in self._watched and index.column() == Column.NAME
            return f"{text}\n{self._watch_text(row_id)}" if watched else text
        return None

    def _watch_text(self, row_id: int) -> str:
        """How a watched row is doing, in sentences."""
        return watch_text(self._probes.get(row_id), self._levels.get(row_id))

    def row_texts(self, index: Index, columns: list[int]) -> list[str]:
        """Texts of some cells of a row, as a view paints them."""
        position, text = self._position(index), self._state.cells.text
        return [text(position, column) for column in columns]

    def _look(self, row_id: int) -> RowLook:
        look = self._state.look(self._places[row_id])
        if row_id in self._notes:
            look = replace(look, note=self._notes[row_id], note_tone="warning")
        if row_id not in self._watched:
            return look
        levels = self._levels.get(row_id)
        bars = levels.bars if levels is not None else ()
        return replace(look, live=True, troubled=self._bad(row_id), levels=bars)


def _is_trouble(state: ProbeState | None) -> bool:
    return state is not None and is_trouble(state)


def _subtrees(table: RowTable, layout: Layout, brothers: Brothers) -> Mask:
    """Neighbours and all below them."""
    chosen = np.zeros(len(table), bool)
    chosen[layout.children(brothers)] = True
    return with_subtrees(table, chosen)


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
