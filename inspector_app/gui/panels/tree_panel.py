"""The tree with its filter."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGraphicsOpacityEffect, QHBoxLayout, QVBoxLayout, QWidget

from inspector_app.gui.filtering.problems import QueryError
from inspector_app.gui.filtering.query import parse
from inspector_app.gui.models.tree_model import RowTreeModel
from inspector_app.gui.panels.filter_help import FilterHelp
from inspector_app.gui.panels.filter_line import FilterLine
from inspector_app.gui.panels.filter_status import FilterStatus
from inspector_app.gui.panels.tree_columns import TreeColumns
from inspector_app.protocol.changes import difference
from inspector_app.protocol.table import RowTable
from widgets.numbers import count_text
from widgets.theme import GRID
from widgets.tree_view import LazyTreeView

_GREY = 0.5  # opacity
_OPENED_AT_ONCE = 40  # matches whose parents are opened with the key
_OPENED = 500  # ... and a moment later: laying out a row takes Qt some 10 microseconds
_MOMENT = 150  # milliseconds
_MOST_OPENED = 4_000  # rows that one command brings into view


class TreePanel(QWidget):
    """Filter line above, tree below; Escape clears the filter, Down and Return go to the tree.

    ``told(text, tone, detail)`` tells a person; ``filtered`` that the filter
    has found something, or has not any more.
    """

    told = Signal(str, str, str)
    filtered = Signal()

    def __init__(self, model: RowTreeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("treePanel")
        self.model = model
        self._target = ""
        self._expanded: list[int] = []  # ids of the rows open before the filter
        self._current = -1  # id of the current row before the filter
        self._has_matches = False
        self.filter = FilterLine(lambda: model.table)
        self.view = LazyTreeView()
        self.view.setObjectName("tree")
        self.view.setAccessibleName("Rows of the model")
        self.view.setModel(model)
        self.columns = TreeColumns(self.view)
        self.status = FilterStatus(self)
        self.help = FilterHelp(self)
        self._lay_out()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_MOMENT)
        self._later.timeout.connect(lambda: self._open_matches(_OPENED))
        model.values_changed.connect(self.view.viewport().update)
        model.matches_changed.connect(self._say_matches)
        self.filter.textChanged.connect(self._filter_changed)
        self.filter.left.connect(self._go_to_first)
        self.filter.escaped.connect(self.clear_filter)
        self.filter.help_asked.connect(self.show_help)
        self.help.taken.connect(self._try_example)
        self.view.escaped.connect(self.clear_filter)
        self._say_matches()

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setContentsMargins(GRID, GRID, GRID, 0)
        bar.addWidget(self.filter)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(bar)
        column.addSpacing(self.status.line_height)
        column.addWidget(self.view, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the line of the status below the filter."""
        super().resizeEvent(event)
        self._place_status()

    def _place_status(self) -> None:
        self.status.place(0, self.view.y() - self.status.line_height, self.width())

    # -- targets -----------------------------------------------------------------------------------

    def show_target(self, table: RowTable, target: str, title: str) -> None:
        """Show the rows of another target, its root open and current.

        Where the same one was opened again, what is open and selected stays so.
        """
        again, self._target = target == self._target, target
        if again:
            self.model.apply_change(difference(self.model.table, table))
            self.view.current_row_changed.emit(self.view.current_row())
        else:
            self._expanded = []
            self._current = -1
            self.filter.clear()
            self.model.set_table(table, title)
            if len(table):
                root = int(table.ids[0])
                self.view.expand(self.model.index_of(root))
                self.view.select_row(root)
        self._say_matches()
        # Once it is on the screen: the first key of a filter then finds all names looked at.
        QTimer.singleShot(0, self.model, self.model.prepare)

    def set_grey(self, grey: bool) -> None:
        """Show that the rows are only what is remembered of a model; they can still be read."""
        effect = None
        if grey:
            effect = QGraphicsOpacityEffect(self.view.viewport())
            effect.setOpacity(_GREY)
        self.view.viewport().setGraphicsEffect(effect)  # type: ignore[arg-type]

    # -- opening and closing -----------------------------------------------------------------------

    def expand_below(self, rows: list[int], opened: bool) -> None:
        """Open or close rows and all below them; of very many, only the upper levels are opened."""
        if opened:
            self._open_levels([self.model.index_of(row) for row in rows])
            return
        for row in rows:
            for index in reversed(self._open_below(self.model.index_of(row))):
                self.view.collapse(index)

    def _open_levels(self, level: list[QModelIndex]) -> None:
        """Open level by level, since laying out rows takes Qt its time."""
        levels = came = 0
        self.view.scheduleDelayedItemsLayout()  # once for all, not again for each of them
        while level:
            below = sum(self.model.rowCount(index) for index in level)
            if levels and came + below > _MOST_OPENED:
                words = "level" if levels == 1 else f"{count_text(levels)} levels"
                self.told.emit(
                    f"Opened the first {words}: more would be over {count_text(_MOST_OPENED)} rows "
                    "at once. Select rows further down to open all below them.",
                    "info",
                    "",
                )
                return
            for index in level:
                self.view.expand(index)
            levels, came = levels + 1, came + below
            level = [
                child
                for index in level
                for row in range(self.model.rowCount(index))
                if self.model.hasChildren(child := self.model.index(row, 0, index))
            ]

    def _open_below(self, index: QModelIndex) -> list[QModelIndex]:
        """The open ones of a row and of all below it, each after the one above it."""
        found: list[QModelIndex] = []
        waiting = [index]
        while waiting:
            index = waiting.pop()
            if self.view.isExpanded(index):
                found.append(index)
                rows = range(self.model.rowCount(index))
                waiting += [self.model.index(row, 0, index) for row in rows]
        return found

    def _open_rows(self) -> list[int]:
        """Ids of all rows that are open; what is open is held by a persistent index."""
        held = [index for index in self.model.persistentIndexList() if index.column() == 0]
        return list({index.internalId() for index in held if self.view.isExpanded(index)})

    # -- the filter --------------------------------------------------------------------------------

    def focus_filter(self) -> None:
        """Ready to type what to look for."""
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter.selectAll()

    def clear_filter(self) -> None:
        """Show all rows, and go to the tree."""
        self.filter.clear()
        self.view.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def show_help(self) -> None:
        """What can be written into the filter."""
        self.help.show_below(self.filter)

    def _try_example(self, example: str) -> None:
        self.filter.setText(example)
        self.filter.setFocus(Qt.FocusReason.PopupFocusReason)

    def go_to_match(self, step: int) -> None:
        """Select the next match (1) or the one before (-1), round the end."""
        row = self.model.next_match(self.view.current_row(), step)
        if row >= 0:
            self.view.select_row(row)

    def _go_to_first(self) -> None:
        """Go to the tree, to what the filter found first; where it found nothing, stay."""
        found = self.model.matches(1)
        if self.model.query and not found:
            return
        if found:
            self.view.select_row(found[0])
        self.view.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _filter_changed(self, text: str) -> None:
        """Show what the text finds; where it is wrong, say why and leave what is shown."""
        self._later.stop()
        try:
            query = parse(text)
            if not self.model.query:
                self._expanded, self._current = self._open_rows(), self.view.current_row()
            if not query and not self.model.query:
                self._say_matches()
                return
            self.view.collapseAll()
            self.model.set_query(query)
        except QueryError as error:
            self.status.say_problem(error.sentence, error.unfinished)
            return
        if query:
            self._open_matches(_OPENED_AT_ONCE)
            self._later.start()
        else:
            self._unfilter()
        self._say_matches()

    def _open_matches(self, most: int) -> None:
        """Open what stands above the first matches."""
        above: set[int] = set()
        self.view.scheduleDelayedItemsLayout()  # once for all, not again for each of them
        for row in self.model.matches(most):
            index = self.model.index_of(row).parent()
            while index.isValid() and index.internalId() not in above:
                above.add(index.internalId())
                self.view.expand(index)
                index = index.parent()

    def _say_matches(self) -> None:
        found = self.model.match_count if self.model.query else None
        self.status.say_count(found, len(self.model.table))
        if bool(found) != self._has_matches:
            self._has_matches = bool(found)
            self.filtered.emit()

    def _unfilter(self) -> None:
        """Open what was open before, and keep the current row in sight."""
        current = self.view.current_row()
        self.view.scheduleDelayedItemsLayout()
        for row in self._expanded:
            self.view.expand(self.model.index_of(row))
        self.view.select_row(current if current >= 0 else self._current)

    def changeEvent(self, event: QEvent) -> None:
        """Other fonts need another place."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and self.isVisible():
            self._place_status()
